"""User agents and their parts, a JSON object a line, as Debian's uap-core has them.

    agents_pairs.py tests         the test cases of uap-core, and what they want
    agents_pairs.py parser N      N of their texts, and what Python's ua-parser says

{"ua": TEXT, "want": {PART: TEXT or null, …}}
"""
import json
import sys

import yaml

HOME = "/usr/share/uap-core/"
VERSION = ["family", "major", "minor", "patch"]
FILES = [
    ("tests/test_ua.yaml", "browser", VERSION),
    ("test_resources/firefox_user_agent_strings.yaml", "browser", VERSION),
    ("test_resources/opera_mini_user_agent_strings.yaml", "browser", VERSION),
    ("test_resources/podcasting_user_agent_strings.yaml", "browser", VERSION),
    ("test_resources/pgts_browser_list.yaml", "browser", VERSION),
    ("tests/test_os.yaml", "os", VERSION + ["patch_minor"]),
    ("test_resources/additional_os_tests.yaml", "os", VERSION + ["patch_minor"]),
    ("tests/test_device.yaml", "device", ["family", "brand", "model"]),
]


def cases():
    for name, section, parts in FILES:
        with open(HOME + name, encoding="utf-8") as f:
            found = yaml.load(f, Loader=yaml.CSafeLoader)["test_cases"]
            for case in found[:: 8 if "pgts" in name else 1]:  # its texts are alike
                if "js_ua" not in case:
                    want = {section + "." + p: case.get(p) or None for p in parts}
                    yield case["user_agent_string"], want


def say(text, want):
    print(json.dumps({"ua": text, "want": want}))


def parsed(n):
    from ua_parser import user_agent_parser

    texts = sorted({text for text, _ in cases()})
    for text in texts[:: max(1, len(texts) // n)]:
        found = user_agent_parser.Parse(text)
        say(text, {
            section + "." + part: value
            for section, key in
            (("browser", "user_agent"), ("os", "os"), ("device", "device"))
            for part, value in found[key].items()
        })


if sys.argv[1] == "tests":
    for text, want in cases():
        say(text, want)
else:
    parsed(int(sys.argv[2]))
