import sys
from pathlib import Path

# short_training.py and sharing.py, which tests and their processes import.
sys.path.insert(0, str(Path(__file__).parent))
