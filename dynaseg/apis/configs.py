from os import PathLike
from pathlib import Path

import dynaseg

DEFAULT_CONFIG = 'dynaseg/segment.py'


def find_config(name: str | PathLike = DEFAULT_CONFIG) -> Path:
    """Find a config: a file of one's own, or one that comes with DynaSeg.

    Args:
        name: path of a config, or a name under DynaSeg's ``configs/`` or ``configs/dynaseg/``,
            which an installed package holds in its ``.mim`` folder and a source checkout beside
            the package.

    Returns:
        The config's path.

    Raises:
        FileNotFoundError: if there is no such config.

    Example:
        >>> find_config('segment.py').parts[-3:]
        ('configs', 'dynaseg', 'segment.py')
    """
    package = Path(dynaseg.__file__).resolve().parent
    folders = (package / '.mim' / 'configs', package.parent / 'configs')
    candidates = [folder / below / name for folder in folders for below in ('', 'dynaseg')]
    for candidate in (Path(name), *candidates):
        if candidate.is_file():
            return candidate
    places = ', '.join(str(folder) for folder in folders if folder.is_dir())
    raise FileNotFoundError(f'no config {str(name)!r}: neither a file nor a name under {places}')
