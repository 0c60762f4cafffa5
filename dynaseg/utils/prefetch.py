from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item, Result = TypeVar('Item'), TypeVar('Result')


def prefetch(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Map a function over items with threads that work ahead of the caller.

    Args:
        function: what to do with an item.
        items: the items, read in the caller's thread, at most twice ``workers`` ahead.
        workers: number of threads; with 0 the caller's own does all, when the result is asked for.

    Yields:
        The results, in the order of the items. What the function raises is raised here.

    Example:
        >>> list(prefetch(len, ['a', 'bcd', 'ef'], workers=2))
        [1, 3, 2]
    """
    if workers == 0:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        ahead = deque()
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
