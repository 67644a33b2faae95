from collections import Counter

from agents.review.cwe import FAMILIES, family_of, name_of


def test_a_cwe_is_in_one_family_at_most() -> None:
    counts = Counter(cwe for numbers in FAMILIES.values() for cwe in numbers)
    assert [cwe for cwe, count in counts.items() if count > 1] == []


def test_families_join_the_same_problem_in_other_words() -> None:
    assert family_of(89) == family_of(564) == "sql injection"
    assert family_of(78) == family_of(88) != family_of(94)
    assert family_of(259) == family_of(798) == family_of(321)
    assert family_of(862) == family_of(306) == family_of(639)
    assert family_of(489) == family_of(215) == family_of(209)
    assert family_of(327) == family_of(328) == family_of(916) != family_of(330)
    assert family_of(614) == family_of(1004) != family_of(319)
    assert family_of(295) != family_of(319)
    assert family_of(31337) == "cwe-31337"
    assert family_of(0) == family_of(-1) == ""


def test_cwes_have_names() -> None:
    assert name_of(89) == "CWE-89 SQL Injection"
    assert name_of(31337) == "CWE-31337"
    assert name_of(0) == ""
