"""How a family asks where things and people are, and where they come from and go; tags as in ``phrasings``."""

PLACE = (
    "[Where]?",
    "!live_subject|Where {be} {topic}?",
    "[{Prep} which {which}]?",
    "[{Prep} which {labelled}]?",
    "!live_subject,!s:place|Where do we keep {topic}?",
    "Where can I find {topic}?",
    "has_owner+!live_subject+!s:place|Where {owners_do} {owner} keep {their} {head}?",
    "v:keep+!live_subject+!s:place|Where {be} {topic} stored?",
    "!live_subject,!s:place|I need {topic}. Where {be} {it}?",
    "live_subject|I am looking for {topic}. Where can I find {them_person}?",
    "s:place|I am looking for {topic}. Where {be} {it}?",
    "Do you know (where)?",
    "!live_subject|Where should I look for {topic}?",
    "Where {be} {our}?",
    "!live_subject,!s:place|I can't find {topic}, where {be} {it}?",
    "Tell me where {topic} {be}.",
    "!live_subject,!s:place|Where did we put {topic}?",
    "Where exactly {be} {topic}?",
)

LIVE = (
    "[Where]?",
    "p:in|In which city {do} {topic} live?",
    "p:in|What city {be} {topic} in?",
    "p:in|Which city do I travel to when I visit {topic}?",
    "p:at,p:on|What is {owned} address?",
    "Where {be} {owned} home?",
    "p:in|Which place {do} {topic} live in?",
    "Where do I find {owned} house?",
    "We are going to visit {topic}. Where do we have to go?",
    "Do you know (where)?",
    "p:in|Which town {do} {topic} call home?",
    "Tell me (where).",
    "p:at,p:on|Where should I send a letter to {topic}?",
    "Where {be} {topic} living now?",
)

WORK = (
    "day|[When]?",
    "[Where]?",
    "What is {owned} workplace?",
    "Where {be} {owned} job?",
    "Which company {do} {topic} work for?",
    "Who {do} {topic} work for?",
    "Where can I find {topic} during the day?",
    "Do you know (where)?",
    "Tell me (where).",
    "{Topic} is at work. Where is that?",
)

WHERE = (
    "[Where]?",
    "[{Prep} which {which}]?",
    "[{Prep} which {labelled}]?",
    "p:on|[Which {floor}~]?",
    "p:on|[What {floor}~]?",
    "passive+past|Where did we {lemma} {topic}?",
    "agent+v:buy,v:get+!live_subject|Which shop {aux} {actor} {lemma} {topic} from?",
    "agent+v:buy,v:get|Where {aux} {actor} get {topic}?",
    "v:go|Where do I put {topic}?",
    "v:go|I want to throw away {topic}. [Where]?",
    "v:arrive,v:stop|At which place {do} {topic} {lemma}?",
    "passive|[At which place]?",
    "[Where exactly]?",
    "Do you know (where)?",
    "past|Do you remember (where)?",
    "Tell me (where).",
    "Can you remind me (where)?",
)

ORIGIN = (
    "[Where~]?",
    "person,people+v:come+past|Who did {topic} come from?",
    "person,people+v:come+past|Who gave us {topic}?",
    "agent+v:get,v:buy|Where {aux} {actor} {lemma} {topic}?",
    "agent+v:get,v:buy+!live_subject+!people|Which shop {aux} {actor} get {topic} from?",
    "v:be|Where {do} {topic} come from?",
    "v:be|Which place {be} {topic} from?",
    "v:be|What {be} the origin of {topic}?",
    "v:leave,v:go,v:start|From where {do} {topic} {lemma}?",
    "v:leave,v:go,v:start|Where do I have to go to catch {topic}?",
)

MOVED = (
    "[Where~]?",
    "v:move+live_subject|Where {do} {topic} live now?",
    "v:move+live_subject|Where {be} {owned} new home?",
)

CONTENTS = (
    "[What]?",
    "What is in {topic}?",
    "What is inside {topic}?",
    "What do we keep in {topic}?",
    "What will I find in {topic}?",
    "I am opening {topic}. What is in there?",
)
