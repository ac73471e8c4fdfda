"""Makes wheels for tests."""

import base64
import hashlib
import zipfile


def make(directory, name, version, modules=1, leave_out=(), **more):
    """Write a wheel with so many modules, one of them an entry point; returns its path.

    `leave_out` names metadata files to omit, `more` gives other files, or other content.
    """
    info = f"{name}-{version}.dist-info"
    files = {f"{name}/__init__.py": "def run():\n    pass\n"}
    files.update({f"{name}/module_{number}.py": f"number = {number}\n" for number in range(modules - 1)})
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = f"[probe]\n{name} = {name}:run\nof_{version} = {name}:run\n"
    files.update(more)
    for file in leave_out:
        del files[f"{info}/{file}"]
    rows = []
    for file, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{file},sha256={digest},{len(text.encode())}\n")
    files[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
    path = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path
