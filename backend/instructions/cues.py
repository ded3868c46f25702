"""Turns of phrase that say something whatever stands around them: that one wants to explore, and that nothing bought before is wanted."""

from __future__ import annotations

import re

CUES = re.compile(
    r"\b(?:surpris|discover|explor|inspir|adventur|experiment|unfamiliar|unusual|unexpected|variety|"
    r"something (?:new|different|else)\b|"
    r"new (?:to (?:me|us)|ideas?|things?|kinds?|products?|categor)|(?:try|trying) (?:out )?(?:something|new)|"
    r"(?:bored|tired|sick) of|"
    r"(?:outside|beyond|out of) (?:my|our|the) (?:usual|habit|routine|comfort)|not (?:my|our|the) (?:usual|same)|"
    r"(?:i|we) (?:never|don['’]t|haven['’]t been) (?:usually |normally )?buy)",
    re.IGNORECASE,
)
_DONE = r"(?:bought|purchased|ordered|tried|had|got|eaten|used)"
_WE = r"(?:i|we)(?:['’]ve|\s+have)?(?:\s+(?:already|ever|previously))*"
_BEFORE = r"(?:\s+(?:before|already|in\s+the\s+past|previously|yet|so\s+far))*"
_LATELY = r"(?!\s+(?:lately|recently|in\s+a|for\s+a|for\s+ages|in\s+ages|in\s+months|this|last|in\s+weeks))"
UNSEEN = re.compile(
    r"\b(?:but\s+|and\s+|with\s+|that(?:['’]s|\s+is|\s+are)?\s+|which\s+(?:is|are)?\s*)*(?:"
    rf"(?:nothing|none|not|no|never|without|hide|exclude|skip)\s+(?:(?:what|that|things?|items?|products?|everything|anything|those|the\s+ones)\s+)*{_WE}\s+{_DONE}{_BEFORE}"
    rf"|{_WE}\s+(?:have\s+)?never\s+{_DONE}{_BEFORE}"
    rf"|(?:i|we)\s*(?:haven['’]t|have\s+not|didn['’]t|did\s+not)\s+(?:yet\s+|ever\s+)?(?:{_DONE}|buy|try){_LATELY}{_BEFORE}"
    rf"|(?:not|never)\s+(?:yet\s+)?(?:bought|purchased|ordered|tried)\s+(?:before|yet){_BEFORE}"
    r"|(?:brand\s+)?new\s+(?:to|for)\s+(?:me|us|(?:my|our|this|the)\s+(?:household|family))"
    r"|no\s+repeats?(?:\s+purchases)?"
    r")(?=\W|\Z)",
    re.IGNORECASE,
)
