#!/usr/bin/env python3
"""Prints "pass|fail|skip <tab> name <tab> reason" for each test in a JUnit file that ctest wrote."""
import sys
import xml.etree.ElementTree as tree

try:
    suite = tree.parse(sys.argv[1]).getroot()
except (OSError, tree.ParseError) as error:
    sys.exit(f"ctest report: {error}")
for case in suite.iter("testcase"):
    status = case.get("status")
    said = [line.strip() for line in (case.findtext("system-out") or "").splitlines()]
    last = next((line for line in reversed(said) if line), "no reason given").replace("\t", " ")
    if status == "run":
        print(f"pass\t{case.get('name')}\t")
    elif status == "notrun" and case.find("skipped") is not None \
            and "SKIP" in (case.find("skipped").get("message") or ""):
        print(f"skip\t{case.get('name')}\t{last}")
    else:
        print(f"fail\t{case.get('name')}\t")
