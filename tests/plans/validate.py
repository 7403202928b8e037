# SPDX-License-Identifier: Apache-2.0
"""validate.py SCHEMA PLAN: exit 0 when the plan is right by the schema, 1 when it is not."""
import json
import sys

import jsonschema

with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
with open(sys.argv[2]) as file:
    plan = json.load(file)
errors = list(jsonschema.Draft202012Validator(schema).iter_errors(plan))
for error in errors:
    print("/" + "/".join(map(str, error.path)), error.message[:200])
sys.exit(1 if errors else 0)
