"""Validates the files that containers are started by.

  schemas.py kubernetes VERSION FILE...   by the schemas of kubernetes-validate
  schemas.py compose SCHEMA FILE          by the JSON schema of Compose

Prints a line for each mistake; exits 1 then. Unknown keys are mistakes.
"""
import json
import sys

import jsonschema
import yaml


def kubernetes(version, files):
    import kubernetes_validate

    for name in files:
        with open(name) as f:
            for document in yaml.safe_load_all(f):
                try:
                    kubernetes_validate.validate(document, version, strict=True)
                except kubernetes_validate.ValidationError as e:
                    yield "%s: %s: %s" % (name, document.get("kind"), e.message)
                except kubernetes_validate.SchemaNotFoundError:
                    yield "%s: %s: no schema" % (name, document.get("kind"))


def compose(schema, name):
    with open(schema) as f:
        validator = jsonschema.Draft7Validator(json.load(f))
    with open(name) as f:
        for e in validator.iter_errors(yaml.safe_load(f)):
            yield "%s: %s: %s" % (name, "/".join(map(str, e.path)), e.message)


kind, first, *rest = sys.argv[1:]
mistakes = list(kubernetes(first, rest) if kind == "kubernetes" else compose(first, rest[0]))
print("\n".join(mistakes), end="\n" if mistakes else "")
sys.exit(1 if mistakes else 0)
