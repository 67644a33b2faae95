"""Weaknesses by their CWE numbers: which ones are the same problem in other words, and what they are called."""

from typing import Final

FAMILIES: Final[dict[str, frozenset[int]]] = {
    "sql injection": frozenset({89, 564, 943}),
    "command injection": frozenset({77, 78, 88}),
    "code injection": frozenset({94, 95, 96, 1336}),
    "cross-site scripting": frozenset({79, 80, 83, 87, 116}),
    "path traversal": frozenset({22, 23, 24, 36, 73}),
    "hard-coded secret": frozenset({259, 312, 321, 522, 540, 798}),
    "weak cryptography": frozenset({326, 327, 328, 759, 760, 780, 916}),
    "weak randomness": frozenset({330, 331, 335, 337, 338}),
    "unsafe deserialisation": frozenset({502}),
    "transport security": frozenset({295, 296, 297, 319, 599}),
    "xml external entities": frozenset({611, 776, 827}),
    "open redirect": frozenset({601}),
    "server-side request forgery": frozenset({918}),
    "exception handling": frozenset({248, 390, 391, 392, 396, 397, 703, 754, 755}),
    "resource use": frozenset({400, 404, 770, 772, 775, 834, 835, 1088, 1333}),
    "temporary files": frozenset({377, 378, 379}),
    "permissions": frozenset({276, 277, 278, 732}),
    "information exposure": frozenset({200, 209, 215, 489, 497, 532}),
    "missing authentication": frozenset({287, 306, 862, 863}),
    "null dereference": frozenset({252, 253, 476}),
    "prototype pollution": frozenset({915, 1321}),
    "numeric error": frozenset({190, 191, 369, 681, 682}),
    "race condition": frozenset({362, 366, 367, 567}),
}

FAMILY_BY_CWE: Final[dict[int, str]] = {cwe: name for name, numbers in FAMILIES.items() for cwe in numbers}

SECRETS: Final = "hard-coded secret"

NAMES: Final[dict[int, str]] = {
    20: "Improper Input Validation",
    22: "Path Traversal",
    73: "External Control of File Name or Path",
    77: "Command Injection",
    78: "OS Command Injection",
    79: "Cross-site Scripting",
    88: "Argument Injection",
    89: "SQL Injection",
    90: "LDAP Injection",
    93: "CRLF Injection",
    94: "Code Injection",
    95: "Eval Injection",
    113: "HTTP Response Splitting",
    116: "Improper Encoding or Escaping of Output",
    117: "Log Injection",
    134: "Use of Externally-Controlled Format String",
    190: "Integer Overflow or Wraparound",
    200: "Exposure of Sensitive Information",
    209: "Error Message Containing Sensitive Information",
    215: "Sensitive Information in Debugging Code",
    252: "Unchecked Return Value",
    259: "Hard-coded Password",
    276: "Incorrect Default Permissions",
    287: "Improper Authentication",
    295: "Improper Certificate Validation",
    312: "Cleartext Storage of Sensitive Information",
    319: "Cleartext Transmission of Sensitive Information",
    321: "Hard-coded Cryptographic Key",
    326: "Inadequate Encryption Strength",
    327: "Broken or Risky Cryptographic Algorithm",
    328: "Weak Hash",
    330: "Insufficiently Random Values",
    338: "Weak Pseudo-Random Number Generator",
    352: "Cross-Site Request Forgery",
    362: "Race Condition",
    367: "Time-of-check Time-of-use Race Condition",
    369: "Divide By Zero",
    377: "Insecure Temporary File",
    390: "Error Condition Without Action",
    391: "Unchecked Error Condition",
    396: "Catch of Generic Exception",
    400: "Uncontrolled Resource Consumption",
    404: "Improper Resource Shutdown or Release",
    476: "NULL Pointer Dereference",
    489: "Active Debug Code",
    502: "Deserialization of Untrusted Data",
    522: "Insufficiently Protected Credentials",
    532: "Sensitive Information in Log File",
    601: "Open Redirect",
    605: "Multiple Binds to the Same Port",
    611: "XML External Entity Reference",
    617: "Reachable Assertion",
    643: "XPath Injection",
    703: "Improper Handling of Exceptional Conditions",
    732: "Incorrect Permission Assignment",
    755: "Improper Handling of Exceptional Conditions",
    770: "Allocation of Resources Without Limits",
    772: "Missing Release of Resource",
    776: "XML Entity Expansion",
    798: "Hard-coded Credentials",
    835: "Infinite Loop",
    915: "Mass Assignment",
    916: "Password Hash With Insufficient Effort",
    918: "Server-Side Request Forgery",
    1188: "Insecure Default",
    1321: "Prototype Pollution",
    1333: "Inefficient Regular Expression",
    1336: "Template Injection",
}


def family_of(cwe: int) -> str:
    """The family of a CWE, such as `sql injection`; a CWE of no family is its own; empty for 0."""
    if cwe <= 0:
        return ""
    return FAMILY_BY_CWE.get(cwe, f"cwe-{cwe}")


def name_of(cwe: int) -> str:
    """Such as `CWE-89 SQL Injection`; the number alone if it is not in the table, empty for 0."""
    if cwe <= 0:
        return ""
    return f"CWE-{cwe} {NAMES[cwe]}" if cwe in NAMES else f"CWE-{cwe}"
