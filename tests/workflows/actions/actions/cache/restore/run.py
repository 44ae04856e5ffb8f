# What was kept is copied: whatever this run changes there is lost, as it is with the real one.
import hashlib
import os
import shutil
from pathlib import Path

from stub import INPUTS, WORKSPACE, need, output

store = Path(os.environ["STAND_IN_CACHE"])
key = need("key")
paths = [line.strip() for line in need("path").splitlines() if line.strip()]
known = sorted(one.name for one in store.iterdir()) if store.exists() else []
prefixes = [one.strip() for one in INPUTS["restore-keys"].splitlines() if one.strip()]
wanted = [key, *(name for prefix in prefixes for name in known if name.startswith(prefix))]
chosen = next((name for name in wanted if name in known), "")
for path in paths if chosen else ():
    kept = store / chosen / hashlib.md5(path.encode()).hexdigest()
    if kept.exists():
        shutil.copytree(kept, WORKSPACE / Path(path).expanduser(), dirs_exist_ok=True)
output("cache-hit", str(chosen == key).lower() if chosen else "")
output("cache-matched-key", chosen)
output("cache-primary-key", key)
print(f"key {key}: {chosen or 'not found'}")
