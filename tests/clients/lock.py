"""Write the lock files of the JavaScript clients anew: python -m tests.clients.lock. `make lock` calls it."""

from __future__ import annotations

from tests.clients.environments import HERE, lock_node


def main() -> None:
    for manifest in sorted(HERE.glob("*/package.json")):
        lock_node(manifest.parent)


if __name__ == "__main__":
    main()
