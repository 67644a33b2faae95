"""Weaknesses by their CWE numbers: which ones are the same problem in other words, and what they are called."""

from typing import Final

FAMILIES: Final[dict[str, frozenset[int]]] = {
    "sql injection": frozenset({89, 564, 943}),
    "command injection": frozenset({77, 78, 88}),
    # A template engine that runs text is said to be any of these.
    "code injection": frozenset({94, 95, 96, 97, 1336}),
    "cross-site scripting": frozenset({79, 80, 81, 82, 83, 84, 85, 86, 87, 116}),
    "xpath injection": frozenset({91, 643, 652}),
    "header injection": frozenset({93, 113}),
    # 23 to 40 are the spellings of a path that leaves its folder; 73 and 99 say the same of who chooses it.
    "path traversal": frozenset({22, 23, 24, 25, 26, 27, 28, 29, 35, 36, 37, 38, 39, 40, 73, 99}),
    # In the source, in a file of settings, or as a constant of security; a key, a password or either.
    "hard-coded secret": frozenset({259, 260, 321, 540, 547, 798, 1391, 1392, 1393}),
    # Who reads the storage has them: said of passwords, of secrets, or of whatever is sensitive.
    "plain-text storage": frozenset({256, 257, 261, 312, 313, 316, 522}),
    # A weak algorithm, a weak use of one or a short key: one line, and one change mends it.
    "weak cryptography": frozenset({325, 326, 327, 328, 329, 759, 760, 780, 916, 1240}),
    "weak randomness": frozenset(
        {330, 331, 332, 334, 335, 336, 337, 338, 339, 340, 341, 342, 343, 344, 1241}
    ),
    "unsafe deserialisation": frozenset({502}),
    "certificate validation": frozenset({295, 296, 297, 298, 299, 599}),
    "cleartext transmission": frozenset({311, 319, 523}),
    "cookie attributes": frozenset({614, 1004, 1275}),
    "xml external entities": frozenset({611, 776, 827}),
    "open redirect": frozenset({601}),
    "server-side request forgery": frozenset({441, 918}),
    "request forgery": frozenset({352}),
    "cross-origin access": frozenset({346, 942, 1385}),
    "signature check": frozenset({345, 347, 353, 354}),
    "exception handling": frozenset({248, 390, 391, 392, 396, 397, 703, 754, 755}),
    "resource use": frozenset({400, 404, 409, 674, 770, 772, 775, 789, 834, 835, 1050, 1088, 1333}),
    "temporary files": frozenset({377, 378, 379}),
    "permissions": frozenset({276, 277, 278, 732}),
    # Debug mode is told by what it is (489) or by what it shows (215, 209).
    "information exposure": frozenset({200, 201, 209, 210, 211, 213, 215, 359, 489, 497, 532, 538, 550}),
    "observable difference": frozenset({203, 204, 205, 208, 385}),
    # That nobody is asked, that the wrong may, that the client says who it is (639): one check is missing.
    "access control": frozenset({269, 284, 285, 287, 288, 306, 425, 566, 639, 862, 863, 1220}),
    "too many attempts": frozenset({307, 799, 837}),
    "session": frozenset({384, 488, 613}),
    "unrestricted upload": frozenset({351, 434, 646}),
    "misconfiguration": frozenset({2, 16, 1032, 1188}),
    "null dereference": frozenset({252, 253, 476}),
    "mass assignment": frozenset({913, 915, 1321}),
    "numeric error": frozenset({190, 191, 369, 681, 682}),
    "race condition": frozenset({362, 364, 366, 367, 567, 667}),
}

FAMILY_BY_CWE: Final[dict[int, str]] = {cwe: name for name, numbers in FAMILIES.items() for cwe in numbers}

SECRETS: Final = "hard-coded secret"
HOLD_SECRETS: Final = frozenset({SECRETS, "plain-text storage"})
"""Families whose findings stand at lines that may hold a secret itself, so that nobody quotes them as they are."""

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
    204: "Observable Response Discrepancy",
    208: "Observable Timing Discrepancy",
    209: "Error Message Containing Sensitive Information",
    215: "Sensitive Information in Debugging Code",
    252: "Unchecked Return Value",
    256: "Plaintext Storage of a Password",
    257: "Storing Passwords in a Recoverable Format",
    259: "Hard-coded Password",
    276: "Incorrect Default Permissions",
    284: "Improper Access Control",
    285: "Improper Authorization",
    287: "Improper Authentication",
    295: "Improper Certificate Validation",
    306: "Missing Authentication for Critical Function",
    307: "Improper Restriction of Excessive Authentication Attempts",
    311: "Missing Encryption of Sensitive Data",
    312: "Cleartext Storage of Sensitive Information",
    319: "Cleartext Transmission of Sensitive Information",
    321: "Hard-coded Cryptographic Key",
    326: "Inadequate Encryption Strength",
    327: "Broken or Risky Cryptographic Algorithm",
    328: "Weak Hash",
    330: "Insufficiently Random Values",
    331: "Insufficient Entropy",
    338: "Weak Pseudo-Random Number Generator",
    340: "Predictable Identifiers",
    346: "Origin Validation Error",
    347: "Improper Verification of Cryptographic Signature",
    352: "Cross-Site Request Forgery",
    362: "Race Condition",
    367: "Time-of-check Time-of-use Race Condition",
    369: "Divide By Zero",
    377: "Insecure Temporary File",
    384: "Session Fixation",
    390: "Error Condition Without Action",
    391: "Unchecked Error Condition",
    396: "Catch of Generic Exception",
    400: "Uncontrolled Resource Consumption",
    404: "Improper Resource Shutdown or Release",
    434: "Unrestricted Upload of File with Dangerous Type",
    476: "NULL Pointer Dereference",
    489: "Active Debug Code",
    497: "Exposure of Sensitive System Information",
    501: "Trust Boundary Violation",
    502: "Deserialization of Untrusted Data",
    522: "Insufficiently Protected Credentials",
    532: "Sensitive Information in Log File",
    547: "Use of Hard-coded, Security-relevant Constants",
    601: "Open Redirect",
    605: "Multiple Binds to the Same Port",
    611: "XML External Entity Reference",
    613: "Insufficient Session Expiration",
    614: "Sensitive Cookie Without Secure Attribute",
    617: "Reachable Assertion",
    639: "Authorization Bypass Through User-Controlled Key",
    643: "XPath Injection",
    644: "Improper Neutralization of HTTP Headers",
    703: "Improper Handling of Exceptional Conditions",
    732: "Incorrect Permission Assignment",
    755: "Improper Handling of Exceptional Conditions",
    770: "Allocation of Resources Without Limits",
    772: "Missing Release of Resource",
    776: "XML Entity Expansion",
    798: "Hard-coded Credentials",
    835: "Infinite Loop",
    862: "Missing Authorization",
    863: "Incorrect Authorization",
    915: "Mass Assignment",
    916: "Password Hash With Insufficient Effort",
    918: "Server-Side Request Forgery",
    942: "Permissive Cross-domain Policy",
    943: "NoSQL Injection",
    1004: "Sensitive Cookie Without HttpOnly Flag",
    1188: "Insecure Default",
    1275: "Sensitive Cookie with Improper SameSite Attribute",
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
