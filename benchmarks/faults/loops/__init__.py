"""Two processes' loops over one database, by real requests and in real time, while everything happens to them."""
