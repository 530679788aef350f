"""`pip list`, `pip freeze`, `pip show`, and the requirements that are not installed."""

import importlib.metadata
import importlib.util
import json
import re
import sys

command, arguments = sys.argv[0], sys.argv[1:]
installed = {}
for found in importlib.metadata.distributions():
    name = found.metadata["Name"]
    if name:
        installed.setdefault(re.sub(r"[-_.]+", "-", name).lower(), (name, found.version, found))

if command == "missing":
    missing = []
    for requirement in arguments:
        match = re.fullmatch(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:==\s*([A-Za-z0-9.+!-]+))?\s*", requirement)
        name = re.sub(r"[-_.]+", "-", match[1]).lower() if match else None
        if name not in installed or (match[2] is not None and match[2] != installed[name][1]):
            missing.append(requirement)
    print(json.dumps(missing))
elif command == "show":
    names = [argument for argument in arguments if not argument.startswith("-")]
    for name in names:
        found = installed.get(re.sub(r"[-_.]+", "-", name).lower())
        if found is None:
            print(f"WARNING: Package(s) not found: {name}", file=sys.stderr)
            sys.exit(1)
        metadata = found[2].metadata
        for field in ("Name", "Version", "Summary", "Home-page", "License"):
            print(f"{field}: {metadata.get(field) or ''}")
elif command == "freeze" or "--format=freeze" in arguments:
    for _, (name, version, _) in sorted(installed.items()):
        print(f"{name}=={version}")
elif "--format=json" in arguments:
    print(json.dumps([{"name": name, "version": version} for _, (name, version, _) in sorted(installed.items())]))
else:
    width = max((len(name) for name, _, _ in installed.values()), default=7)
    print(f"{'Package':<{width}} Version")
    print(f"{'-' * width} -------")
    for _, (name, version, _) in sorted(installed.items()):
        print(f"{name:<{width}} {version}")
