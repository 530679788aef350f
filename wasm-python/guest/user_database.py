"""The modules `pwd` and `grp`, with the sandbox's only user and group."""

import collections
import operator
import sys
import types

USER = "user"
ID = 0
_HOME = "/home/user"


def _pwd():
    module = types.ModuleType("pwd", "The sandbox's only user.")
    fields = "pw_name pw_passwd pw_uid pw_gid pw_gecos pw_dir pw_shell"
    entry = collections.namedtuple("struct_passwd", fields, module="pwd")
    user = entry(USER, "x", ID, ID, "", _HOME, "/bin/sh")
    module.struct_passwd = entry
    _add_database(module, "pw", user, "nam uid all")
    return module


def _grp():
    module = types.ModuleType("grp", "The sandbox's only group.")
    entry = collections.namedtuple("struct_group", "gr_name gr_passwd gr_gid gr_mem", module="grp")
    group = entry(USER, "x", ID, [])
    module.struct_group = entry
    _add_database(module, "gr", group, "nam gid all")
    return module


def _add_database(module, prefix, entry, names):
    by_name, by_id, everything = (f"get{prefix}{name}" for name in names.split())

    def find_name(name, /):
        if not isinstance(name, str):
            raise TypeError(f"{by_name}() argument must be str, not {type(name).__name__}")
        if name != entry[0]:
            raise KeyError(f"{by_name}(): name not found: {name!r}")
        return entry

    def find_id(id, /):
        if operator.index(id) != entry[2]:
            raise KeyError(f"{by_id}(): {by_id[-3:]} not found: {id}")
        return entry

    def find_all():
        return [entry]

    for name, function in ((by_name, find_name), (by_id, find_id), (everything, find_all)):
        function.__name__ = function.__qualname__ = name
        setattr(module, name, function)


# At once: modules such as pathlib look for them when they are imported.
sys.modules["pwd"] = _pwd()
sys.modules["grp"] = _grp()
