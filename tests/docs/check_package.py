#!/usr/bin/python3
"""packaging/deb against the project: the same version, the same packages to build with, every document installed.

    check_package.py
"""
import os
import re
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
# What each Debian build has anyway, and what scripts/package asks for beside the packages of a build.
IMPLIED = {"g++"}
PACKAGING = {"debhelper-compat"}


def text_of(name):
    with open(f"{ROOT}/{name}", encoding="utf-8") as file:
        return file.read()


def found(pattern, text, what):
    match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    if not match:
        sys.exit(f"cannot find {what}")
    return match.group(1)


def check(project, changelog, control, common, rules, documents):
    mistakes = []
    version = found(r"^project\(lb VERSION ([\d.]+)", project, "the version in CMakeLists.txt")
    packaged = found(r"\Alb \(([^)]+)\) ", changelog, "the top entry of packaging/deb/changelog")
    if version != packaged:
        mistakes.append(f"packaging/deb/changelog has {packaged} on top, CMakeLists.txt {version}")
    fields = found(r"^Build-Depends:(.*?)^\w", control, "Build-Depends in packaging/deb/control")
    declared = {word.split()[0] for word in fields.split(",")} - PACKAGING
    needed = set(found(r"^build_packages=\(([^)]*)\)", common, "build_packages in scripts/common.sh").split()) - IMPLIED
    mistakes += [f"packaging/deb/control: Build-Depends lacks {name}" for name in sorted(needed - declared)]
    mistakes += [f"packaging/deb/control: Build-Depends has {name}, scripts/common.sh has not" for name in sorted(declared - needed)]
    installed = set(found(r"dh_installdocs [^\n]*,([^)\n]*)\)", rules, "dh_installdocs in packaging/deb/rules").split())
    mistakes += [f"packaging/deb/rules: {name} is not installed" for name in sorted(documents - installed)]
    return mistakes


def self_test(project, changelog, control, *others):
    assert len(check(project.replace("lb VERSION ", "lb VERSION 9"), changelog, control, *others)) == 1
    assert len(check(project, changelog.replace("lb (", "lb (9", 1), control, *others)) == 1
    assert len(check(project, changelog, control.replace(" zlib1g-dev", " zlib-dev"), *others)) == 2
    *others, documents = others
    assert len(check(project, changelog, control, *others, documents | {"doc/NEW.md"})) == 1


def main():
    texts = [text_of(name) for name in ("CMakeLists.txt", "packaging/deb/changelog", "packaging/deb/control", "scripts/common.sh",
                                        "packaging/deb/rules")]
    documents = {f"doc/{name}" for name in os.listdir(f"{ROOT}/doc") if name.endswith(".md")} | {"README.md"}
    mistakes = check(*texts, documents)
    if not mistakes:
        self_test(*texts, documents)
    print("\n".join(mistakes) if mistakes else "version, build packages and documents agree")
    sys.exit(1 if mistakes else 0)


if __name__ == "__main__":
    main()
