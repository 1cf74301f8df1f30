"""How a family asks when things happen, how they are done and who likes what; tags as in ``phrasings``."""

ALLERGY = (
    "[What~]?",
    "edible|Which food should {topic} avoid?",
    "{Does} {topic} have an allergy?",
    "edible|What should {topic} not eat?",
    "!edible|What should {topic} stay away from?",
    "What {be} {owned} allergy?",
    "edible|I am cooking for {topic}. What should I leave out?",
    "{Does} {topic} have any allergies?",
    "What must I not give {topic}?",
    "{Be} {topic} allergic to anything?",
    "edible|What is {topic} not allowed to eat?",
    "{Topic} is coming to visit. What is {topic} allergic to?",
)

FREQUENCY = (
    "[How often]?",
    "[When]?",
    "v:come,v:visit|How often can I expect {topic}?",
    "modal+passive|How often do we have to {lemma} {topic}?",
    "modal+passive|How often should I {lemma} {topic}?",
    "Do you know (how often)?",
    "Tell me (how often).",
    "Can you remind me (how often)?",
    "I forgot (how often).",
    "modal+passive|When do I need to {lemma} {topic}?",
    "I wrote nothing down. [How often]?",
)

DEADLINE = (
    "[{Until} when]?",
    "[When]?",
    "p:until,p:till|[How long]?",
    "clock|[{Until} what time]?",
    "day|[{Until} which day]?",
    "v:open|When does {topic} close?",
    "v:open|How late {be} {topic} open?",
    "Do you know ({until} when)?",
    "Tell me ({until} when).",
    "Can you remind me ({until} when)?",
    "I forgot ({until} when).",
)

TIME = (
    "identity+h:routine|[What]?",
    "[When]?",
    "day|[Which day]?",
    "clock|[What time]?",
    "month|[In which month]?",
    "year|[In which year]?",
    "date|[On which date]?",
    "routine_head|When {owners_do} {owner} {routine}?",
    "routine_head|What time should {owner} {routine_be}?",
    "v:come,v:arrive,v:visit,v:call|When should I expect {topic}?",
    "day,date|[On what day]?",
    "clock|[At what time]?",
    "v:start,v:begin|What time {be} {topic}?",
    "v:start,v:begin|When {do} {topic} begin?",
    "h:collected|When should I put out {topic}?",
    "h:collected|What day should I put out {topic}?",
    "past+passive+!v:bear,!v:build,!v:buy|When did we last {lemma} {topic}?",
    "past+passive+!v:bear,!v:build,!v:buy|When was the last time {topic} {was} {done}?",
    "v:build|What year {be} {topic} from?",
    "v:bear|When {be} {owned} birthday?",
    "v:bear|What is {owned} date of birth?",
    "h:transport|I must not miss {topic}. [When]?",
    "v:open|From when on {be} {topic} open?",
    "v:close|How late {be} {topic} open?",
    "v:expire|How long {be} {topic} valid?",
    "v:deliver,v:come,v:arrive|On what day {be} {topic} here?",
    "h:celebration|When do we celebrate {topic}?",
    "h:celebration,h:appointment|Which day {be} {topic}?",
    "h:activity,h:appointment|I don't want to be late. When {be} {topic}?",
    "h:activity|What time do we have to be at {topic}?",
    "modal+passive|When do I have to {lemma} {topic}?",
    "identity+h:routine|[When]?",
    "Do you know (when)?",
    "Tell me (when).",
    "Can you remind me (when)?",
    "I forgot (when).",
    "day,date+!past|I am planning the week. [When]?",
)

DURATION = (
    "[How long]?",
    "v:take,v:last,v:need|How much time {do} {topic} {lemma}?",
    "passive|How long do I have to {lemma} {topic}?",
    "modal|What is the right time for {topic}?",
    "v:take,v:last|How many minutes or hours {do} {topic} {lemma}?",
    "v:take,v:last,v:be|How much time do we need for {topic}?",
    "Do you know (how long)?",
    "Tell me (how long).",
    "Can you remind me (how long)?",
    "I forgot (how long).",
)

BORROWED = (
    "from_place|[Where~]?",
    "[Who~]?",
    "p:from|Who did we {lemma} {topic} from?",
    "p:to|Who did we {lemma} {topic} to?",
    "p:from|Who owns {topic}?",
    "p:from|Whose {be} {topic}?",
    "p:from|I want to give {topic} back. Who lent {them} to us?",
    "p:from|{Topic}: who do we owe it to?",
    "p:from|Who do we have to give {topic} back to?",
    "p:to|Who has {topic} now?",
    "p:to|Who do we have to ask to get {topic} back?",
    "Where did we get {topic}?",
    "Do you know (who~)?",
    "Tell me (who~).",
)

DONE_BY = (
    "[Who~]?",
    "past|Who {past} {topic}?",
    "!past|Who {third} {topic}?",
    "past|Who did we ask to {lemma} {topic}?",
    "!past|Who do we call to {lemma} {topic}?",
    "By whom {aux} {topic} {done}?",
    "Do you know (who~)?",
    "Tell me (who~).",
    "Who should I ask about {topic}?",
    "Can you remind me (who~)?",
)

PREFERENCE = (
    "[How]?",
    "with|What goes with {object_plain} for {topic}?",
    "with|What {do} {topic} {lemma} {object} {prep}?",
    "I am preparing {object_plain}. How will {topic} like {them_object}?",
    "How should I serve {topic} {object}?",
    "How {do} {topic} want {object}?",
    "Do you know (how)?",
    "Tell me (how).",
    "Can you remind me (how)?",
    "{Topic} is coming. How {do} {topic} {lemma} {object}?",
)

FORBIDDEN = (
    "[*~]?",
    "passive+can_ask|What must I not {lemma} {topic} {prep}?",
    "passive+can_ask|What is the wrong way to {lemma} {topic}?",
    "p:with|Which thing would damage {topic}?",
    "v:eat|What is bad for {topic}?",
    "v:eat|What must I not feed {topic}?",
    "v:eat|Which food should {topic} avoid?",
    "v:eat+!s:pet|I am cooking for {topic}. What should I leave out?",
    "v:eat|What food is not allowed for {topic}?",
    "v:drink|What must I not give {topic} to drink?",
    "v:drink|I am pouring a drink for {topic}. What should it not be?",
    "v:drink|Which drink should {topic} avoid?",
    "v:allow|Which place is forbidden for {topic}?",
    "v:allow|Where must {topic} not go?",
    "passive+can_ask|I am {doing} {topic}. What must I avoid?",
    "passive+can_ask|What should I avoid when {doing} {topic}?",
    "p:with|What is harmful to {topic}?",
    "imperative+v:put,v:store,v:keep,v:leave,v:hang|Where {do} {topic} not belong?",
    "What is not allowed with {topic}?",
    "Do you know (*~)?",
    "Tell me (*~).",
    "Can you remind me (*~)?",
)

SETTING = (
    "[What~]?",
    "temperature|Which temperature is right for {topic}?",
    "temperature|How warm should {topic} be?",
    "temperature|How hot should {topic} be?",
    "What is the right setting for {topic}?",
    "How should I set {topic}?",
    "What should I set {topic} to?",
    "temperature|At what temperature should {topic} run?",
    "number,measure|How high should {topic} be?",
    "I am adjusting {topic}. What should {it} be set to?",
    "Do you know (what~)?",
    "Tell me (what~).",
)

DISLIKE = (
    "[What]?",
    "What should I not cook for {topic}?",
    "Which food {do} {topic} not like?",
    "Is there something {topic} {do} not like?",
    "I am cooking for {topic}. What should I leave out?",
    "What can {topic} not stand?",
    "What {do} {topic} not want?",
    "Do you know (what)?",
    "Tell me (what).",
    "What should I not give {topic}?",
)

TASTE = (
    "[What]?",
    "!v:eat,!v:drink|What would make {topic} happy?",
    "v:eat|What food should I give {topic}?",
    "v:eat|What do we feed {topic}?",
    "v:drink|Which drink should I bring {topic}?",
    "!v:eat,!v:drink|What {be} {owned} favourite?",
    "What {be} {topic} fond of?",
    "I want to give {topic} a treat. What should I get?",
    "Which thing {do} {topic} {lemma} most?",
    "Do you know (what)?",
    "Tell me (what).",
    "Can you remind me (what)?",
)

LEARN = (
    "[What]?",
    "language|Which language {aux} {topic} {verb}?",
    "instrument|Which instrument {aux} {topic} {verb}?",
    "sport|Which sport {aux} {topic} {verb}?",
    "language|What language {do} {topic} study?",
    "language|What language {do} {topic} know?",
    "instrument|What instrument {do} {topic} practise?",
    "!language,!instrument,!sport|Which thing {aux} {topic} {verb}?",
    "v:learn|What is {topic} taking lessons in?",
    "Do you know (what)?",
    "Tell me (what).",
    "{Topic} is busy again. [What]?",
    "Can you remind me (what)?",
)

UNIT = (
    "[What~]?",
    "Which unit {do} {topic} use?",
    "Which units {do} {topic} show?",
    "In which unit {do} {topic} measure?",
    "What is the unit of {topic}?",
    "I am reading {topic}. Which unit is it?",
    "Do you know (what~)?",
    "Tell me (what~).",
)

HOW = (
    "[What]?",
    "How do I {goal}?",
    "What do I have to do to {goal}?",
    "I want to {goal}. What do I do?",
    "How can I {goal}?",
    "Can you tell me how to {goal}?",
    "What is the trick to {goal}?",
    "Do you know how to {goal}?",
    "How does one {goal}?",
)

HEAT = (
    "[{At} what temperature]?",
    "passive|At what temperature should I {lemma} {topic}?",
    "What temperature do I need for {topic}?",
    "passive|How hot should it be when I {lemma} {topic}?",
    "passive|I am {doing} {topic}. Which temperature is right?",
    "How many degrees are right for {topic}?",
)

HOLD = (
    "[How many {counted}]?",
    "measure|[How much]?",
    "[What]?",
    "{Does} {topic} have a limit? [How much]?",
    "What {be} the capacity of {topic}?",
    "How big {be} {topic}?",
)

VEHICLE = (
    "[How]?",
    "[How exactly]?",
    "Do you know (how)?",
    "Tell me (how).",
    "Can you remind me (how)?",
    "Which means of transport {do} {topic} use?",
)
