# There is no step after the job here: what a key does not know yet is linked into the store.
import hashlib
import os
from pathlib import Path

from stub import INPUTS, WORKSPACE, need, output

store = Path(os.environ["STAND_IN_CACHE"])
key = need("key")
paths = [line.strip() for line in need("path").splitlines() if line.strip()]
known = sorted(one.name for one in store.iterdir()) if store.exists() else []
prefixes = [one.strip() for one in INPUTS["restore-keys"].splitlines() if one.strip()]
chosen = key if key in known else next((k for p in prefixes for k in known if k.startswith(p)), key)
for path in paths:
    place = WORKSPACE / Path(path).expanduser()
    kept = store / chosen / hashlib.md5(path.encode()).hexdigest()
    kept.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(kept)
output("cache-hit", str(key in known).lower() if known else "")
output("cache-primary-key", key)
print(f"key {key}: {'hit' if key in known else 'not found, ' + chosen}")
