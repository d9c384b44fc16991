"""Builds the wheel with the standard library alone, so that pip needs no network and no package.

A wheel is a zip of the package and three files of metadata. Where the tree was built, the shared
library goes along (MINIVAULT_BUNDLE names another one; empty: none) and the wheel is for this
platform only; else the package looks for an installed library.
"""

import base64
import hashlib
import os
import re
import sysconfig
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARY = os.path.join(HERE, "../../build/release/lib/libminivault.so")


def project():
    """The few plain values of pyproject.toml that go into the metadata."""
    with open(os.path.join(HERE, "pyproject.toml"), encoding="utf-8") as stream:
        return dict(re.findall(r'^([\w-]+) = "(.*)"$', stream.read(), re.M))


def library():
    named = os.environ.get("MINIVAULT_BUNDLE", LIBRARY)
    return named if named and os.path.exists(named) else None


def tag():
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform()) if library() else "any"
    return "py3-none-" + platform


def metadata(values):
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as stream:
        description = stream.read()
    return ("Metadata-Version: 2.1\nName: %s\nVersion: %s\nSummary: %s\nRequires-Python: %s\n"
            "Description-Content-Type: text/markdown\n\n%s"
            % (values["name"], values["version"], values["description"],
               values["requires-python"], description))


def get_requires_for_build_wheel(config_settings=None):
    return []


def get_requires_for_build_editable(config_settings=None):
    return []


def write_wheel(directory, contents):
    values = project()
    info = "%s-%s.dist-info" % (values["name"], values["version"])
    contents = dict(contents)
    contents[info + "/METADATA"] = metadata(values).encode()
    contents[info + "/WHEEL"] = ("Wheel-Version: 1.0\nGenerator: build_wheel\n"
                                 "Root-Is-Purelib: %s\nTag: %s\n"
                                 % ("false" if library() else "true", tag())).encode()
    record = ""
    name = "%s-%s-%s.whl" % (values["name"], values["version"], tag())
    with zipfile.ZipFile(os.path.join(directory, name), "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in sorted(contents.items()):
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))  # the same tree, the same wheel
            entry.external_attr = 0o644 << 16
            wheel.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
            record += "%s,sha256=%s,%d\n" % (path, digest.decode(), len(data))
        wheel.writestr(info + "/RECORD", record + info + "/RECORD,,\n")
    return name


def read(path):
    with open(path, "rb") as stream:
        return stream.read()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    package = os.path.join(HERE, "minivault")
    contents = {"minivault/" + name: read(os.path.join(package, name))
                for name in os.listdir(package) if name.endswith(".py")}
    if library():
        contents["minivault/libminivault.so"] = read(library())
    return write_wheel(wheel_directory, contents)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return write_wheel(wheel_directory, {"minivault.pth": (HERE + "\n").encode()})


def build_sdist(sdist_directory, config_settings=None):
    raise NotImplementedError("the sources are the tree; install from there")
