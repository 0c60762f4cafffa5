"""Disjoint sets."""


class Groups:
    """Disjoint sets, each with its highest member as its root."""

    def __init__(self, count: int) -> None:
        self.above = list(range(count))

    def find(self, member: int) -> int:
        """Find the root of a member's set."""
        while self.above[member] != member:
            self.above[member] = self.above[self.above[member]]
            member = self.above[member]
        return member

    def join(self, first: int, second: int) -> None:
        """Join the sets of two members."""
        low, high = sorted((self.find(first), self.find(second)))
        self.above[low] = high
