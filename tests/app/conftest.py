import sys
from pathlib import Path

# halves.py, which is imported here and by processes that unpickle its class.
sys.path.insert(0, str(Path(__file__).parent))
