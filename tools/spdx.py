#!/usr/bin/python3
"""What is in a root file system, as SPDX 2.3: spdx.py STATUS NAME VERSION CREATED

STATUS is dpkg's file of installed packages. The same file makes the same document.
"""

import hashlib
import json
import re
import sys


def packages(text):
    for paragraph in text.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.M))
        if fields.get("Status", "").endswith(" installed"):
            yield fields


def purl(fields):
    return f"pkg:deb/debian/{fields['Package']}@{fields['Version'].replace(':', '%3A').replace('+', '%2B')}" \
           f"?arch={fields['Architecture']}"


def document(text, name, version, created):
    found = sorted(packages(text), key=lambda f: (f["Package"], f["Architecture"]))
    rows = [{
        "SPDXID": "SPDXRef-Package-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{f['Package']}-{f['Architecture']}"),
        "name": f["Package"],
        "versionInfo": f["Version"],
        "supplier": "Organization: " + re.sub(r" *<.*", "", f["Maintainer"]),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl(f)}],
    } for f in found]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{name}-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{version}-{hashlib.sha256(text.encode()).hexdigest()[:32]}",
        "creationInfo": {"created": created, "creators": [f"Tool: {name}-image"]},
        "packages": rows,
        "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                           "relatedSpdxElement": row["SPDXID"]} for row in rows],
    }


with open(sys.argv[1], encoding="utf-8") as status:
    json.dump(document(status.read(), *sys.argv[2:5]), sys.stdout, indent=1)
print()
