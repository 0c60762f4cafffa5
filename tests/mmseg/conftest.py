import sys
from pathlib import Path

# short_training.py, which tests import.
sys.path.insert(0, str(Path(__file__).parent))
