"""Functions are compiled by one process at a time, into a folder of ours."""

import os
import subprocess
import sys
from pathlib import Path

WHILE_ANOTHER_COMPILES = """
import sys, threading
from pathlib import Path
from filelock import FileLock
from dashfusion_models.features.audio import AudioExtractor
folder = Path(sys.argv[1])
folder.mkdir()
waiting = threading.Thread(target=AudioExtractor().warm_up)
with FileLock(folder / ".lock"):
    waiting.start()
    waiting.join(3)  # s; librosa is known from the first moment of its import
    print("librosa" in sys.modules)
waiting.join()
print("librosa" in sys.modules)
"""


def test_one_process_compiles_at_a_time(tmp_path: Path) -> None:
    environment = {**os.environ, "DASHFUSION_CACHE": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    folder = tmp_path / "compiled"
    run = subprocess.run(
        [sys.executable, "-c", WHILE_ANOTHER_COMPILES, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["False", "True"]
    assert list(folder.rglob("*_pi_wrapper*.nbc"))  # of pYIN, one of those that were met damaged
