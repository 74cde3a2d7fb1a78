"""The partition hosts: where each listens, and what an old one does after an account moved."""

from collections.abc import Mapping

OLD_HOSTS = ("serves", "redirects", "missing", "refuses", "resets")


class Partitions:
    """Addresses by partition number. Empty until the listeners are bound."""

    def __init__(self) -> None:
        self._urls: dict[int, str] = {}

    def bind(self, urls: Mapping[int, str]) -> None:
        self._urls.update(urls)

    def url(self, partition: int) -> str:
        """Without a slash at the end."""
        if partition in self._urls:
            return self._urls[partition]
        raise LookupError(
            f"no partition host p{partition}; there are {', '.join(map(self.name, self._urls))}"
        )

    def another_than(self, partition: int) -> int:
        return next(number for number in self._urls if number != partition)

    @staticmethod
    def name(partition: int) -> str:
        return f"p{partition}"
