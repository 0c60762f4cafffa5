"""Names of clusters, as a person or a few labels gave them: the file ``names.json``.

::

    {"names": {"0": "road", "3": "sky", "7": "road"}, "made_from": "the naming page of ..."}

Keys are clusters, from 0; those of one name are one class from then on, and those that are left out
have none. The names, sorted, are the labels 0, 1, ... of label maps, whatever clusters have them,
so that maps of several checkpoints with the same names agree. Where clusters are left out, they are
the label after the last name.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from unicodedata import category

import numpy as np

from dynaseg.io.files import name_some, write_file

UNNAMED = 'unnamed'
MAX_NAME = 100  # characters
NOT_TEXT = {'Cc', 'Cs', 'Zl', 'Zp'}  # Unicode's categories of control characters and line breaks
UNSEEN = {'Z', 'C'}  # the first letters of those of all that cannot be seen
KEYS = {'names', 'made_from', 'checkpoint_sha256'}


def name_clusters(number: int) -> tuple[str, ...]:
    """Name clusters by their numbers, for want of names.

    Examples:
        >>> name_clusters(2)
        ('cluster 0', 'cluster 1')
    """
    return tuple(f'cluster {cluster}' for cluster in range(number))


@dataclass(frozen=True)
class ClusterNames:
    """Names of the clusters of a trained network.

    Attributes:
        names: by cluster; several clusters may have one name.
        made_from: who or what gave them, as text.
        checkpoint_sha256: of the file with the network's weights, if they are of one.

    Raises:
        ValueError: if a cluster is no integer of at least 0, a name is empty, has spaces around it,
            is longer than 100 characters, has line breaks or control characters, or is
            ``'unnamed'``, or there is none.

    Examples:
        >>> names = ClusterNames({0: 'road', 2: 'car', 3: 'road'}, 'a person')
        >>> names.labels
        ('car', 'road')
        >>> names.number_labels(4)
        (array([1, 2, 0, 1]), ('car', 'road', 'unnamed'))
    """

    names: Mapping[int, str]
    made_from: str
    checkpoint_sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError('names are of no cluster')
        for cluster, name in self.names.items():
            if not isinstance(cluster, int) or cluster < 0:
                raise ValueError(f'names are of clusters, integers of at least 0, got {cluster!r}')
            if (
                not isinstance(name, str)
                or not 0 < len(name) <= MAX_NAME
                or name != name.strip()
                or any(category(character) in NOT_TEXT for character in name)
                or all(category(character)[0] in UNSEEN for character in name)
            ):
                raise ValueError(
                    f'cluster {cluster} has the name {name!r}: expected text of 1 to {MAX_NAME} '
                    'characters on one line, without spaces around it'
                )
            if name == UNNAMED:
                raise ValueError(
                    f'cluster {cluster} has the name {UNNAMED!r}: leave out what has no name'
                )
        for key in ('made_from', 'checkpoint_sha256'):
            value = getattr(self, key)
            if not isinstance(value, str) and (key == 'made_from' or value is not None):
                raise ValueError(f'{key} must be text, got {value!r}')

    @property
    def labels(self) -> tuple[str, ...]:
        """The names, sorted: those of the labels."""
        return tuple(sorted(set(self.names.values())))

    def number_labels(self, number: int) -> tuple[np.ndarray, tuple[str, ...]]:
        """Number the labels of clusters.

        Args:
            number: of the clusters that there are, K.

        Returns:
            The label of each cluster, int64, (K,), and the names of the labels, ``'unnamed'`` as
            the last where a cluster has none.

        Raises:
            ValueError: if there are names of other clusters.
        """
        labels = self.labels
        numbers = {name: label for label, name in enumerate(labels)}
        self._check(number)
        table = [numbers.get(self.names.get(cluster), len(labels)) for cluster in range(number)]
        return np.array(table), (*labels, *[UNNAMED] * (len(labels) in table))

    def find_classes(self, number: int, classes: Sequence[str]) -> np.ndarray:
        """Find the class of each cluster by its name.

        Args:
            number: of the clusters that there are, K.
            classes: names of the classes.

        Returns:
            The class of each cluster, or -1 for those that have no name, int64, (K,).

        Raises:
            ValueError: if there are names of other clusters, or a name is that of no class.

        Examples:
            >>> ClusterNames({0: 'road', 2: 'sky'}, 'a person').find_classes(3, ['sky', 'road'])
            array([ 1, -1,  0])
        """
        self._check(number)
        self.check_classes(classes)
        classes = [name.strip() for name in classes]
        places = {name: place for place, name in enumerate(classes)}
        return np.array([places.get(self.names.get(cluster), -1) for cluster in range(number)])

    def check_classes(self, classes: Sequence[str]) -> None:
        """Raise ValueError unless each name is that of one of the classes."""
        unknown = sorted(set(self.names.values()) - {name.strip() for name in classes})
        if unknown:
            raise ValueError(
                f'{name_some([repr(name) for name in unknown])} are none of the classes '
                f'({", ".join(classes)}): name clusters by them, or leave them out'
            )

    def _check(self, number: int) -> None:
        others = sorted(cluster for cluster in self.names if cluster >= number)
        if others:
            raise ValueError(
                f'names are of clusters {name_some(list(map(str, others)))}, and there are '
                f'{number}, from 0'
            )


def read_names(path: str | PathLike) -> ClusterNames:
    """Read names of clusters from a file.

    Args:
        path: ``names.json``; see the head of this module.

    Returns:
        The names.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such file; it names the file and what is wrong.
    """
    try:
        content = json.loads(Path(path).read_text('utf-8-sig'), object_pairs_hook=_refuse_twice)
        if not isinstance(content, dict) or not isinstance(content.get('names'), dict):
            raise ValueError('expected {"names": {"0": "NAME", ...}, "made_from": "..."}')
        if unknown := sorted(content.keys() - KEYS):
            raise ValueError(f'it has {name_some(unknown)}: expected {sorted(KEYS)}')
        names = {_read_cluster(key): name for key, name in content.pop('names').items()}
        return ClusterNames(names, content.get('made_from'), content.get('checkpoint_sha256'))
    except FileNotFoundError as error:
        raise FileNotFoundError(f'no file of names {path}') from error
    except (ValueError, RecursionError) as error:  # of JSON and UTF-8, too
        raise ValueError(f'{path} holds no names of clusters: {error}') from error


def read_names_of(path: str | PathLike, checkpoint: str | PathLike | None) -> ClusterNames:
    """Read names of the clusters of a checkpoint, as :func:`read_names` does.

    Args:
        path: ``names.json``.
        checkpoint: the file with the network's weights; None, or no file, where there is none.

    Returns:
        The names.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_names`, and if they are of another checkpoint.
    """
    names = read_names(path)
    expected = names.checkpoint_sha256
    if expected is None:
        return names
    if not (checkpoint and Path(checkpoint).is_file() and hash_file(checkpoint) == expected):
        raise ValueError(
            f'{path}: names are of the clusters of another checkpoint than {checkpoint} (if the '
            'clusters are the same, remove its checkpoint_sha256)'
        )
    return names


def write_names(path: str | PathLike, names: ClusterNames) -> None:
    """Write names of clusters into a file that :func:`read_names` reads, whole or not at all."""
    content = {
        'names': {str(cluster): names.names[cluster] for cluster in sorted(names.names)},
        'made_from': names.made_from,
    }
    if names.checkpoint_sha256 is not None:
        content['checkpoint_sha256'] = names.checkpoint_sha256
    write_file(Path(path), json.dumps(content, indent=1, ensure_ascii=False) + '\n')


def hash_file(path: str | PathLike) -> str:
    """Compute the SHA-256 of a file's content, in hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _read_cluster(key: str) -> int:
    if not key.isdecimal() or key != str(int(key)):
        raise ValueError(f'names are of clusters, integers of at least 0, got {key!r}')
    return int(key)


def _refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f'{name_some(twice)} stand in it twice')
    return dict(pairs)
