import numpy as np


class NamedLabels(np.ndarray):
    """A label map whose labels have names, as those of named clusters do.

    Args:
        labels: integers from 0, (H, W).
        names: names of the labels.

    Attributes:
        names: names of the labels; None for arrays computed from such a map.

    Examples:
        >>> import pickle
        >>> labels = NamedLabels(np.array([[0, 1]]), ('road', 'sky'))
        >>> labels.names, (labels == 1).names
        (('road', 'sky'), None)
        >>> pickle.loads(pickle.dumps(labels)).names
        ('road', 'sky')
    """

    def __new__(cls, labels: np.ndarray, names: tuple[str, ...]) -> 'NamedLabels':
        """Give names to the labels of a map, which is not copied."""
        named = np.asarray(labels).view(cls)
        named.names = tuple(names)
        return named

    def __reduce__(self) -> tuple:
        """Keep the names when labels go to another process."""
        plain = np.asarray(self)
        return plain.__reduce__() if self.names is None else (NamedLabels, (plain, self.names))

    def __array_finalize__(self, source: np.ndarray | None) -> None:
        self.names = None
