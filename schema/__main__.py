"""`python -m schema`: prints the schema into schema.graphql; with `--check`, says whether it is current."""

import argparse
import sys
from pathlib import Path

from schema.build import build

PRINTED = Path(__file__).with_name("schema.graphql")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where it is not current")
    printed = build()[1]
    if parser.parse_args().check:
        if PRINTED.read_text() == printed:
            return 0
        sys.stderr.write("schema/schema.graphql is not current: run `python -m schema`.\n")
        return 1
    PRINTED.write_text(printed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
