"""The programs of a MySQL server in a folder: packages that were unpacked there, or / for this machine's own.

docs/development.md tells how to get one. What was unpacked runs with its own C library, so it may be of a
newer distribution than this one.
"""

from pathlib import Path

from launcher.output import SetUpProblem
from launcher.programs import Programs

VARIABLE = "DCA_MYSQL"
"""Of the environment: the folder. Whoever sets it gets MySQL wherever a server is started."""
_LIBRARIES = ("usr/lib", "lib", "usr/lib64", "lib64", "usr/local/lib")


def programs(folder: Path) -> Programs:
    """The programs in a folder.

    Raises:
        SetUpProblem: they are not there.
    """
    usr = folder.resolve() / "usr"
    server, client = usr / "sbin" / "mysqld", usr / "bin" / "mysql"
    missing = [str(each) for each in (server, client) if not each.is_file()]
    if missing:
        raise SetUpProblem(f"{VARIABLE} is {folder}, and there is no {' and no '.join(missing)}")
    start = _loader(folder.resolve())
    where = (f"--basedir={usr}", f"--lc-messages-dir={usr}/share/mysql", "--secure-file-priv=NULL")
    run = (*start, str(server), "--no-defaults", *where)
    return Programs(
        is_mysql=True,
        server=run,
        installer=(*run, "--initialize-insecure"),
        client=(*start, str(client), "--no-defaults"),
    )


def _loader(folder: Path) -> tuple[str, ...]:
    """What starts a program with the libraries of its folder; nothing for this machine's own."""
    if folder == Path("/"):
        return ()
    places = [folder / each for each in _LIBRARIES]
    places += [each for place in places if place.is_dir() for each in place.glob("*-linux-gnu*")]
    found = next((each for place in places for each in place.glob("ld-linux-*.so.*")), None)
    if found is None:
        raise SetUpProblem(f"{VARIABLE} is {folder}, and its C library (libc6) was not unpacked there")
    return str(found), "--library-path", ":".join(str(each) for each in places if each.is_dir())
