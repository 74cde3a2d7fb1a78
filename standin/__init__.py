"""A stand-in for iCloud to develop and test against: Radicale behind iCloud's manners."""
