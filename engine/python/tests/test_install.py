"""pip install from the tree, into an environment of its own, with no network to ask."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = """
import minivault, os, sys
assert minivault.__file__.startswith(sys.prefix), minivault.__file__
with minivault.open(sys.argv[1]) as db:
    db[b"a"] = b"1"
    print(os.path.dirname(minivault._lib._name), dict(db.items()))
"""


def venv_works():
    try:
        import ensurepip  # noqa: F401  (Debian packs it apart)
        import venv  # noqa: F401
    except ImportError:
        return False
    return True


@unittest.skipUnless(venv_works(), "no venv here (Debian: python3-venv)")
class Install(unittest.TestCase):
    def test_pip_install(self):
        place = tempfile.mkdtemp(prefix="minivault-test-")
        self.addCleanup(shutil.rmtree, place, True)
        shutil.copytree(PACKAGE, os.path.join(place, "python"))
        env = {name: value for name, value in os.environ.items()
               if name not in ("PYTHONPATH", "LD_PRELOAD")}
        env.update(PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
        library = env.pop("MINIVAULT_LIBRARY", None)
        subprocess.run([sys.executable, "-m", "venv", place + "/venv"], check=True, env=env)
        python = place + "/venv/bin/python"
        env["MINIVAULT_BUNDLE"] = library or os.path.join(
            PACKAGE, "../../build/release/lib/libminivault.so")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-build-isolation",
                        place + "/python"], check=True, env=env)
        env["LD_PRELOAD"] = os.environ.get("LD_PRELOAD", "")
        done = subprocess.run([python, "-c", PROGRAM, place + "/db"], env=env, cwd=place,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("site-packages/minivault {b'a': b'1'}", done.stdout)


if __name__ == "__main__":
    unittest.main()
