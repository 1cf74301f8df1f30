"""How a family asks about each relation; see ``patterns`` for the language of the templates.

A template may begin with ``tag|``: it is used only where the scene has that tag (with ``a,b|`` one of
the tags, with ``a+b|`` all of them): a kind of target (``day``) or subject (``s:pet``), ``v:<lemma>``,
``p:<preposition>``, ``h:<kind of head noun>``, ``past``, ``person`` (the answer is a person),
``!tag`` for its absence.
The templates of a relation are in order of naturalness; the first ones that fit are taken.
"""

INDIRECT = (
    "Do you know (*~)?",
    "Tell me (*~).",
    "Can you remind me (*~)?",
    "I forgot (*~).",
    "Could you tell me (*~)?",
    "I would like to know (*~).",
    "Somebody asked me (*~).",
    "Quick question: [*~]?",
    "Please help me. [*~]?",
)
"""Indirect forms any relation can end with."""

PLACE = (
    "[Where]?",
    "!live_subject|Where {be} {topic}?",
    "[{Prep} which {which}]?",
    "[{Prep} which {labelled}]?",
    "!live_subject,!s:place|Where do we keep {topic}?",
    "Where can I find {topic}?",
    "!live_subject,!s:place+!stored|Where {be} {topic} stored?",
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

NAME = (
    "[What]?",
    "What's the name of {our}?",
    "s:role,s:pet,s:person|Who is {our}?",
    "simple_role|Which {bare} should I call?",
    "What do we call {topic}?",
    "!s:pet|What's the name of {the}?",
    "s:pet,s:thing,s:place|What name did we give {topic}?",
    "What is {owned} name?",
    "simple_role|I need {one}. Who should I call?",
    "has_in|Which {noun} {be} {post}?",
    "Do you know the name of {topic}?",
    "Tell me the name of {our}.",
    "I forgot {owned} name. What is it?",
    "simple_role|Who is the {bare} we use?",
)

NAME_OF = (
    "[What]?",
    "role_owner|Who is {owner}?",
    "Who is {the_owner}?",
    "Who is {our_owner}?",
    "What is {owner} called?",
    "What is {owner} named?",
    "What do we call {owner}?",
    "Who is {owner}?",
    "What's {owners} name?",
    "Do you know what {owner} {owners_be} called?",
    "Tell me the name of {owner}.",
    "I forgot {swapped}. What is it?",
)

ROLE = (
    "s:pet|What {be} {topic} called?",
    "[Who]?",
    "!past|Who {be} {the}?",
    "What is {owned} name?",
    "What {be} {our} called?",
    "simple_role+h:profession|Which {bare} do we go to?",
    "simple_role|Which {bare} should I call?",
    "Who {be} {our}?",
    "simple_role|I need {one}. Who should I call?",
    "teacher|Who teaches {owner}?",
    "What's the name of {our}?",
    "Do you know who {topic} {be}?",
    "Tell me the name of {our}.",
    "!s:pet|Who do we have as {bare}?",
    "I am looking for {topic}. Who is it?",
)

PRICE = (
    "[How much]?",
    "identity|[What]?",
    "!h:bill,!live_subject|What is the price of {topic}?",
    "How much do we pay for {topic}?",
    "identity|How high {be} {topic}?",
    "v:cost,v:charge|What {do} {topic} cost?",
    "I have to pay {topic}. How much is it?",
    "!live_subject|How much money do we need for {topic}?",
    "live_subject|How much money {do} {topic} {lemma}?",
)

CODE = (
    "[What]?",
    "opens|Which {head} opens {the_modifier}?",
    "Tell me {topic}.",
    "What's {our}?",
    "opens|I am standing at {the_modifier}. What is the {head}?",
    "opens|How do I open {the_modifier}?",
    "opens|Which {head} do I need for {the_modifier}?",
    "network|How do I get on {the_modifier}?",
    "network|Which {head} do I need for {the_modifier}?",
    "network|I want to connect to {the_modifier}. What is the {head}?",
    "has_owner|Which {head} do I need for {owner}?",
    "has_owner|What is {swapped}?",
    "!opens,!network|Which {head} do I need for {the_modifier}?",
    "I forgot {topic}. What is it?",
    "Can you remind me of {topic}?",
    "What do I type in for {topic}?",
    "Do you know {topic}?",
)

IDENTITY = (
    "job|What is {owned} job?",
    "job|What {do} {topic} do for a living?",
    "numbered|[What number]?",
    "age_target|[How old]?",
    "person|[Who]?",
    "temperature|[What temperature]?",
    "sized|[What {labelled}]?",
    "!numbered|[What]?",
    "numbered|[Which number]?",
    "numbered+ours|Which {bare} is ours?",
    "numbered|[What]?",
    "phone|Which number do I dial to reach {owner}?",
    "email|Where do I send an email to {owner}?",
    "email|How can I write to {owner}?",
    "address_head|Where {owners_do} {owner} live?",
    "phone|How can I call {owner}?",
    "size_head|Which {head} {owners_do} {owner} wear?",
    "size_head|I am buying clothes for {owner}. What is {owners} {head}?",
    "favourite_head|Which {favourite} {owners_do} {owner} like best?",
    "favourite_head|What {favourite} {owners_do} {owner} love most?",
    "has_in|Which {noun} {be} {post}?",
    "named_target|What {be} {topic} called?",
    "temperature|How warm {be} {topic}?",
    "a_target+thing_subject|What kind of {bare} do we have?",
    "a_name+thing_subject|What brand {be} {topic}?",
    "a_name+thing_subject|Which make {be} {our}?",
    "a_name+thing_subject|Who makes {topic}?",
    "attributive|What's {our}?",
    "has_owner|What is {swapped}?",
    "attributive|Tell me {topic}.",
    "named_target,number,phone,email|I forgot {topic}. What is it?",
    "attributive|Do you know {topic}?",
    "attributive|Can you remind me of {topic}?",
    "attributive|Someone is asking for {topic}. What should I say?",
    "What do you know about {topic}?",
    "!attributive|What can you tell me about {topic}?",
    "!attributive|Tell me about {topic}.",
)

LIVE = (
    "[Where]?",
    "p:in|In which city {do} {topic} live?",
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

BELONGS = (
    "[Who~]?",
    "To whom {do} {topic} belong?",
    "Who owns {topic}?",
    "Whose {be} {topic}?",
    "thing_subject|Whose {bare} is it?",
    "Who is the owner of {topic}?",
    "I found {topic}. Whose {be} {it}?",
    "Do you know who owns {topic}?",
    "Tell me (who~).",
    "Who should I give {topic} back to?",
)

WHOSE = (
    "Whose {aux} {topic}?",
    "Who {do} {topic} belong to?",
    "Who owns {topic}?",
    "thing_subject|Whose {bare} is it?",
    "Who is the owner of {topic}?",
    "Do you know whose {topic} {aux}?",
    "Tell me whose {topic} {aux}.",
    "I found {topic}. Whose {aux} {it}?",
    "To whom {do} {topic} belong?",
    "Who should I give {topic} back to?",
)

PURPOSE = (
    "p:to|[Why]?",
    "person,people|[Who~]?",
    "people|Who should use {topic}?",
    "!p:to,!people|[What~]?",
    "!people|What {be} {topic} for?",
    "p:for+!people|What goes in {topic}?",
    "p:for|What do we use {topic} for?",
    "p:to|What does it do if I {act} {topic}?",
    "p:to|What happens when I {act} {topic}?",
    "What is the purpose of {topic}?",
    "!people|Do you know what {topic} {be} for?",
    "!people|Tell me what {topic} {be} for.",
    "!people|When do I need {topic}?",
)

GENERIC_WHAT = (
    "quantity|[How much {quantity}]?",
    "sized|[What {labelled}]?",
    "[*~]?",
    "sized|What is {owned} {labelled}?",
    "sized|What size {garment} {do} {topic} wear?",
    "sized|What size are {owned} {garment}?",
    "[How many {unit}]?",
    "!p:+whom|[{Prep} whom]?",
    "!sized+p:|[Which {labelled}]?",
    "!sized+v:have+p:|What is {owned} {labelled}?",
    "!sized+v:have+p:|What is the {labelled} of {topic}?",
    "!p:|[{Prep} which {labelled}]?",
    "Who {who_does} {when}?",
    "languages|In which language {aux} {topic} {verb}?",
    "[How many {counted}]?",
    "ends|What are the last digits of {topic}?",
    "ends|I only know the beginning of {topic}. What comes last?",
    "ends|How {do} {topic} end?",
    "ends|Which digits {do} {topic} end in?",
    "p:with+!person|Which thing {aux} {topic} {verb} {prep}?",
    "v:need+!quantity|What is needed for {topic}?",
    "v:need,v:use+!quantity|Which kind should I buy for {topic}?",
    "v:need,v:use+!quantity|{Topic} stopped working. What should I get for {it_object}?",
    "p:to+quantity|[What~]?",
    "v:work+p:as|What is {owned} job?",
    "v:work+p:as|What {do} {topic} do for a living?",
    "v:answer+p:to|What is {owned} name?",
    "v:answer+p:to|What's the name of {topic}?",
    "v:answer+p:to|What {be} {topic} called?",
    "v:run,v:need,v:use,v:take|What kind of {rated} {do} {topic} need?",
    "v:afraid+p:of|What scares {topic}?",
    "v:afraid+p:of|What {be} {topic} scared of?",
    "v:run+p:on|What {do} {topic} need to run?",
    "v:run+p:on+h:vehicle|What do I fill {topic} up with?",
    "v:married|Who did {topic} marry?",
    "v:married|Who is {owned} husband or wife?",
    "v:open+p:with|How do I open {topic}?",
    "v:open+p:with|What do I need to open {topic}?",
    "passive+p:with+!person|How do I {lemma} {topic}?",
    "passive+p:with+!person|What do I need to {lemma} {topic}?",
    "v:have|What {do} {topic} own?",
    "v:wear|What should I buy for {topic} to wear?",
    "past|Do you remember (*~)?",
    "Do you know (*~)?",
    "Tell me (*~).",
    "Can you remind me (*~)?",
    "I forgot (*~).",
    "I have a question about {topic}. [*~]?",
    "Someone asked me about {topic}. [*~]?",
    "It is about {topic}. [*~]?",
    "Could you tell me (*~)?",
)

ASKED_ONLY = (
    "What {aux} {actor} {verb} for {meal} {when}?",
    "[*~]?",
    "Do you know (*~)?",
    "Tell me (*~).",
    "Can you remind me (*~)?",
    "I forgot (*~).",
    "Could you tell me (*~)?",
    "I would like to know (*~).",
    "Quick question: [*~]?",
    "Help me, please. [*~]?",
)

ASKED_OF_ALL = (*ASKED_ONLY[:2], "[{Prep} which {which}]?", *ASKED_ONLY[2:])

PHONE_OF = (
    "phone,number|What is {owned} phone number?",
    "email|What is {owned} email address?",
    "phone,number|What is the phone number of {topic}?",
    "phone,number|What number do I dial for {topic}?",
    "phone,number|I have to talk to {topic}. Which number do I call?",
    "How can I get hold of {topic}?",
    "phone,number|Tell me the phone number of {topic}.",
    "email|Tell me the email address of {topic}.",
    "How do I reach {topic}?",
    "phone,number|Do you know the number of {topic}?",
    "email|Do you know the email address of {topic}?",
    "email|Where do I send an email to {topic}?",
    "How can I contact {topic}?",
)

WHERE = (
    "[Where]?",
    "[{Prep} which {which}]?",
    "[{Prep} which {labelled}]?",
    "passive+past|Where did we {lemma} {topic}?",
    "v:buy,v:get|Which shop {aux} {actor} {lemma} {topic} from?",
    "v:buy,v:get|Where {aux} {actor} get {topic}?",
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

DIMENSION = (
    "[How {dimension}]?",
    "!age|What {be} the {extent} of {topic}?",
    "age|What age {be} {topic}?",
    "age|How many years old {be} {topic}?",
    "What {be} {owned} {extent}?",
    "!age|Tell me the {extent} of {topic}.",
    "!age|I have to measure {topic}. [How {dimension}]?",
    "age|I am baking a cake for {topic}. How many candles do I need?",
)

ORIGIN = (
    "[Where~]?",
    "v:come+past|Who did {topic} come from?",
    "v:come+past|Who gave us {topic}?",
    "v:be|Where {do} {topic} come from?",
    "v:be|Which place {be} {topic} from?",
    "v:be|What {be} the origin of {topic}?",
    "v:leave,v:go,v:start|From where {do} {topic} {lemma}?",
    "v:leave,v:go,v:start|Where do I have to go to catch {topic}?",
)

COLOUR = (
    "[What colour]?",
    "[Which colour]?",
    "What is the colour of {topic}?",
    "What color {be} {topic}?",
    "What colour did we choose for {topic}?",
    "How do I recognise {topic}? Which colour {be} {it}?",
)

CHIP = (
    "What is the number of {owned} {thing}?",
    "What number is on {owned} {thing}?",
    "Which number does {owned} {thing} have?",
    "What {thing} number {do} {topic} have?",
    "Tell me the number of {owned} {thing}.",
    "{Topic} is lost. What is the number of the {thing}?",
    "I forgot the number of {owned} {thing}.",
    "Do you know the number of {owned} {thing}?",
)

CONTENTS = (
    "[What]?",
    "What is in {topic}?",
    "What is inside {topic}?",
    "What do we keep in {topic}?",
    "What will I find in {topic}?",
    "I am opening {topic}. What is in there?",
)

MEANING = (
    "[What]?",
    "What is the meaning of {topic}?",
    "{Topic} again! What should that tell me?",
    "I see {topic}. What does it mean?",
    "What is it telling me, {topic}?",
)

STATE = (
    "What is the state of {topic}?",
    "How {be} {topic}?",
    "What is the matter with {topic}?",
    "What do you know about {topic}?",
    "What should I know about {topic}?",
    "What can you tell me about {topic}?",
    "Tell me about {topic}.",
    "I want to use {topic}. What should I know?",
)

MOVED = (
    "[Where~]?",
    "v:move|Where {do} {topic} live now?",
    "v:move|Which city {do} {topic} live in now?",
    "v:move|Where {be} {owned} new home?",
)

RESCHEDULED = (
    "[When~]?",
    "day|[Which day~]?",
    "clock|[What time~]?",
    "When is {topic} now?",
    "What is the new date of {topic}?",
)
