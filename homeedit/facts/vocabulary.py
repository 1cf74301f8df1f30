"""Own-written lists of words by kind: who is a person, what is a place, what could stand for what."""

from functools import cache

_GROUPS = {
    "man": "Adam, Ahmed, Alex, Anton, Ben, Carlos, Chris, Daniel, David, Elias, Emil, Erik, Felix, Finn,"
    " George, Hassan, Henry, Hugo, Ivan, Jack, Jakob, James, Jan, Jonas, Karl, Lars, Leo, Liam, Lucas,"
    " Marco, Mark, Martin, Matteo, Max, Michael, Mohamed, Nico, Noah, Oliver, Omar, Oscar, Otto, Pablo,"
    " Paul, Peter, Rafael, Ravi, Robert, Sam, Samuel, Simon, Stefan, Theo, Thomas, Tim, Tom, Viktor,"
    " William, Yusuf, Luis, John, Joe, Luca, Moritz",
    "woman": "Ada, Aisha, Alice, Amelie, Amira, Ana, Anna, Beatrice, Carla, Carmen, Charlotte, Clara,"
    " Diana, Elena, Ella, Elsa, Emily, Emma, Eva, Fatima, Fiona, Frida, Greta, Hanna, Hannah, Helen, Ida,"
    " Ines, Ingrid, Isabel, Jana, Jane, Julia, Kate, Katja, Laila, Lara, Laura, Lea, Lena, Lily, Lina,"
    " Lisa, Lotte, Lucy, Luna, Maja, Maria, Marta, Mary, Mia, Mila, Mina, Nadia, Nina, Nora, Olga, Olivia,"
    " Paula, Petra, Priya, Rosa, Ruth, Sara, Sarah, Sofia, Sophie, Sylvia, Tara, Tessa, Vera, Yara, Zoe,"
    " Rachel, Linda, Susan, Karin, Mei, Chloe",
    "surname": "Brown, Schmidt, Garcia, Novak, Jensen, Rossi, Khan, Nguyen, Silva, Moreau, Walker, Berg,"
    " Kowalski, Okafor, Tanaka, Larsson, Fischer, Hughes, Marino, Petrov, Dubois, Haddad, Lind, Carter,"
    " Weiss, Costa",
    "parent": "mum, dad, mama, papa, mom, daddy, mummy, mommy",
    "grandparent": "grandma, grandpa, granny, grandad, oma, opa, nana, grandmother, grandfather, nan, granddad",
    "relative": "brother, sister, uncle, aunt, cousin, nephew, niece, son, daughter, mother, father,"
    " husband, wife, stepson, stepdaughter, godmother, godfather, mother-in-law, father-in-law,"
    " brother-in-law, sister-in-law",
    "children": "twins, kids, children, boys, girls, babies, grandchildren, parents, grandparents,"
    " neighbours, neighbors, cousins, guests",
    "child": "baby, toddler, boy, girl, guest, visitor, flatmate, roommate, lodger, au pair, child",
    "profession": "electrician, plumber, painter, carpenter, gardener, roofer, locksmith, chimney sweep,"
    " dentist, doctor, optician, vet, physiotherapist, pediatrician, paediatrician, hairdresser,"
    " babysitter, nanny, cleaning lady, window cleaner, cleaner, landlord, landlady, lawyer, accountant,"
    " tax adviser, mechanic, teacher, coach, tutor, postman, mail carrier, baker, butcher, handyman,"
    " builder, architect, piano teacher, maths teacher, math teacher, class teacher, swimming coach,"
    " football coach, driving instructor, nurse, midwife, pharmacist, neighbour, neighbor, caretaker,"
    " janitor, tiler, plasterer, chef, florist, tailor, orthodontist, therapist, headmaster, headteacher,"
    " principal, godparent, dog walker, dog sitter, cat sitter, pet sitter, groomer, milkman, delivery"
    " driver, bus driver, tenant, boss, manager, housekeeper, technician, insurance agent, estate agent,"
    " family doctor, emergency contact, school nurse, music teacher, chimney sweeper, dermatologist,"
    " cardiologist, eye doctor, carer, caregiver, cook, maid, trainer, kindergarten teacher, engineer, heating"
    " engineer, tuner, piano tuner, solicitor, notary, surveyor, instructor, installer, repairman, surgeon,"
    " specialist, counsellor, advisor, adviser, consultant, secretary, assistant, seamstress, upholsterer,"
    " beekeeper, farmer, priest, pastor, rabbi, imam",
    "pet": "cat, dog, hamster, goldfish, rabbit, guinea pig, parrot, budgie, tortoise, turtle, kitten,"
    " puppy, canary, hen, pony, horse, gerbil, snake, lizard, ferret, mouse, rat, donkey, goat, duck,"
    " goose, chicken, cow, sheep, fish, rooster, gecko, chinchilla",
    "door": "front door, back door, cellar door, garage door, side door, garden gate, balcony door, patio"
    " door, stable door, front gate, back gate, basement door, street door, terrace door",
    "locked": "garage, shed, safe, bike lock, gate, alarm, letter box, locker, suitcase, key box, cash"
    " box, tablet, laptop, phone, elevator, garden shed, gun cabinet, mailbox, key safe, padlock, cabin,"
    " boat, barn, workshop, burglar alarm, alarm system, parental control, tv, computer, ipad, sim card,"
    " bank card, credit card",
    "network": "wifi, wi-fi, wlan, guest wifi, guest wi-fi, guest network, wi-fi network, wifi network, internet",
    "secret": "code, PIN, password, passcode, combination, access code, pin code, entry code, passphrase",
    "room": "kitchen, bathroom, bedroom, living room, dining room, laundry room, hall, hallway, cellar,"
    " basement, attic, garage, shed, pantry, study, office, guest room, nursery, playroom, corridor, loft,"
    " conservatory, utility room, storeroom, children's room, stairwell, workshop, greenhouse, garden,"
    " balcony, terrace, patio, guest bathroom, home office, porch, toilet, cloakroom, driveway",
    "tool": "torch, candle, lantern, hammer, saw, drill, screwdriver, ladder, hose, wheelbarrow, rake,"
    " spade, shovel, axe, lawnmower, lawn mower, watering can, bucket, mop, broom, dustpan, vacuum"
    " cleaner, toolbox, tape measure, spirit level, paintbrush, glue, sandpaper, pliers, wrench,"
    " flashlight, extension cord, hedge trimmer, crowbar, staple gun, snow shovel, step ladder,"
    " stepladder, spanner, chainsaw, pressure washer, plunger, allen keys, duct tape, measuring tape,"
    " pump, bicycle pump, bike pump, jack, trailer",
    "supply": "battery, light bulb, fuse, candle, match, lighter, bin bag, nail, screw, cable, charger,"
    " adapter, plug, sponge, filter, rubber band, envelope, stamp, pen, scissors, string, sticky tape,"
    " plaster, bandage, thermometer, first aid kit, medicine, painkiller, sunscreen, sewing kit, needle,"
    " button, hook, padlock, gift wrap, wrapping paper, paper towel, toilet paper, detergent, bleach,"
    " dishwasher tablet, hand soap, shampoo, toothbrush, toothpaste, nappy, diaper, dishcloth, candle"
    " holder, insect spray",
    "appliance": "blender, toaster, kettle, coffee machine, oven, microwave, dishwasher, washing machine,"
    " dryer, tumble dryer, fridge, freezer, iron, mixer, food processor, waffle iron, rice cooker, slow"
    " cooker, juicer, vacuum, heater, fan, humidifier, air conditioner, boiler, heat pump, thermostat,"
    " radiator, stove, grill, barbecue, kitchen scale, bathroom scale, sewing machine, hair dryer, coffee"
    " maker, espresso machine, air fryer, bread maker, pressure cooker, hob, cooker, sauna, hot tub,"
    " aquarium, dehumidifier, underfloor heating, heating",
    "electronics": "printer, router, television, TV, radio, laptop, tablet, phone, smart speaker, camera,"
    " remote control, remote, game console, headphones, doorbell, smoke alarm, alarm clock, robot vacuum,"
    " speaker, baby monitor, e-reader, smart TV, scanner, projector, computer, smartwatch, webcam, carbon"
    " monoxide alarm, smoke detector, motion sensor, solar panel, weather station, thermostat app",
    "kitchenware": "pizza stone, baking tray, frying pan, wok, saucepan, cake tin, cutting board, rolling"
    " pin, whisk, ladle, knife, fork, spoon, bowl, teapot, corkscrew, bottle opener, can opener, tin"
    " opener, grater, colander, cast iron pan, casserole, mug, wine glass, plate, salad bowl, thermos,"
    " lunch box, jug, sieve, potato peeler, chopping board, measuring cup, tablecloth, napkin, cake stand,"
    " butter knife, oven glove, pan, pot, cup",
    "food": "tea, coffee, sugar, flour, salt, rice, pasta, honey, oil, vinegar, pepper, cinnamon, yeast,"
    " oats, jam, bread, butter, cheese, milk, chocolate, raisins, lentils, biscuits, cereal, soup, olive"
    " oil, baking powder, soy sauce, mustard, ketchup, wine, beer, juice, cocoa, garlic, egg, potato,"
    " onion, spices, vanilla, dog food, cat food, bird seed, sweets, cookies, crisps, nuts, peanut butter,"
    " ice cream, vegetables, fruit, salad",
    "allergen": "strawberries, peanuts, nuts, milk, eggs, wheat, gluten, lactose, shellfish, fish, soy,"
    " kiwi, apples, tomatoes, walnuts, hazelnuts, almonds, cherries, sesame, celery, mustard, dairy,"
    " shrimp, prawns, honey",
    "outdoor": "tent, sleeping bag, camping stove, rucksack, backpack, suitcase, picnic basket, picnic"
    " blanket, beach towel, parasol, umbrella, sledge, skis, skates, bicycle, bike, bike helmet, helmet,"
    " scooter, football, tennis racket, swimming goggles, life jacket, canoe, fishing rod, hammock, deck"
    " chair, cool box, skateboard, frisbee, garden chair, ski boots, snow chains, roof rack, roof box,"
    " paddling pool, kayak, yoga mat, dumbbell, walking stick, hiking boots, compass, binoculars,"
    " basketball, trampoline, kite, swimsuit",
    "clothes": "coat, jacket, raincoat, scarf, hat, glove, mitten, shoe, boot, rubber boots, wellies,"
    " slippers, belt, tie, suit, dress, wedding dress, jumper, sweater, pyjamas, sock, apron, school"
    " uniform, gym bag, gym clothes, winter coat, ski jacket, swimming trunks, costume, handbag, wallet,"
    " purse, sunglasses, reading glasses, glasses, watch, necklace, wedding ring, earrings, jewellery,"
    " backpack",
    "document": "passport, birth certificate, insurance documents, insurance papers, school report, tax"
    " return, warranty, receipt, user manual, manual, contract, rental contract, driving licence, driver's"
    " license, will, vaccination card, marriage certificate, car papers, bank statement, recipe book,"
    " photo album, address book, ID card, instructions, spare tickets, train tickets, pension papers,"
    " diploma, tax documents, deed, invoice, vaccination record, library card, health card",
    "key": "key, car key, house key, spare key, bike key, shed key, garage key, mailbox key, cellar key,"
    " boat key, safe key, front door key, window key, attic key, door key, letterbox key",
    "vehicle": "car, bike, van, motorbike, scooter, trailer, caravan, camper, boat, lawn tractor, pram,"
    " stroller, cargo bike, e-bike, motorcycle, truck, tractor, camper van, wheelchair",
    "activity": "yoga class, dance class, swimming lesson, piano lesson, football practice, choir"
    " practice, judo class, pottery course, drama club, chess club, ballet class, guitar lesson, riding"
    " lesson, French course, parents' evening, school run, book club, football training, swimming class,"
    " music lesson, tennis lesson, scout meeting, band practice, gym class, karate class, house meeting,"
    " recital, violin lesson, swim practice",
    "collected": "garbage, rubbish, trash, recycling, paper, glass, laundry, parcel, mail, compost, garden"
    " waste, yellow bin, green bin, blue bin, brown bin, black bin, organic waste, bulky waste, paper bin,"
    " newspaper, milk",
    "transport": "bus, train, tram, ferry, school bus, night bus, airport bus, underground, taxi, plane, flight",
    "shop": "bakery, butcher's, pharmacy, supermarket, market, library, post office, bank, swimming pool,"
    " gym, school, kindergarten, nursery school, hair salon, recycling centre, garden centre, bookshop,"
    " town hall, hospital, restaurant, pizzeria, cinema, museum, zoo, church, garage, shop, store, cafe,"
    " clinic, surgery, playground, station, airport, bus stop, train station, tram stop, dump, park, bike"
    " shop, corner shop, hardware store, daycare, day care, after-school club, vet's, dentist's, office,"
    " farm shop, fish shop",
    "fixture": "fuse box, stopcock, main valve, water meter, gas meter, electricity meter, main switch,"
    " water main, breaker, circuit breaker, letter box, mailbox, septic tank, oil tank, light switch,"
    " water tap, compost heap, gas valve, shut-off valve, water valve, electrical panel, chimney, well,"
    " manhole, thermostat, drain, stop valve",
    "furniture": "sofa, armchair, bed, wardrobe, cupboard, bookcase, shelf, desk, table, dining table,"
    " chair, coffee table, mirror, lamp, carpet, rug, curtain, cushion, mattress, pillow, blanket, duvet,"
    " bunk bed, drawer, chest of drawers, cot, crib, high chair, hammock, clock, vase, painting, piano,"
    " guitar, towel, bath mat, stool, picture frame, coat rack, cabinet, bench, fireplace, grandfather"
    " clock, paint, wallpaper, plant, cactus, orchid, roof, window, floor, tiles, fence, pool, pond,"
    " hedge, lawn, apple tree, cherry tree, rose, sandpit",
    "container": "box, tin, bag, basket, jar, folder, drawer, bin, case, crate, bottle, can, tube, chest, pouch",
    "toy": "doll, teddy bear, teddy, train set, building blocks, board game, puzzle, football, chess set,"
    " playing cards, toy car, dollhouse, paint box, crayons, colouring book, kite, marbles, video game",
    "weekday": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "meal": "breakfast, lunch, dinner, supper, brunch, afternoon tea",
    "home": "house, flat, apartment, cottage, holiday house, summer house, holiday flat, bungalow",
    "dish": "lasagne, pizza, roast, apple pie, quiche, casserole, gratin, cake, moussaka, roast chicken,"
    " meatloaf, pizza dough, bread dough, cheesecake, risotto, stew, salmon, shepherd's pie",
    "seasonal": "Christmas decorations, Easter decorations, fairy lights, party hats, birthday candles,"
    " Halloween costumes, balloons, Christmas stockings, streamers, Easter eggs",
    "celebration": "birthday, name day, wedding anniversary, anniversary, graduation, communion,"
    " confirmation, retirement party, wedding, baptism, housewarming, due date, birthday party, family"
    " reunion, summer fair",
    "size": "shoe size, dress size, ring size, collar size, hat size, glove size, blood type, height,"
    " weight, age, clothes size, jacket size, trouser size, bra size",
    "contact": "phone number, number, mobile number, email address, e-mail address, postal address,"
    " address, work number, office number, telephone number, cell phone number, email, e-mail, house"
    " number, fax number, extension",
    "identity": "licence plate, license plate, number plate, serial number, model number, registration"
    " number, passport number, customer number, account number, policy number, tax number, social security"
    " number, membership number, library card number, IBAN, contract number, meter number, insurance"
    " number, chip number",
    "favourite": "favourite colour, favourite food, favourite book, favourite film, favourite song,"
    " favourite dish, favorite color, favorite food, favorite book, favorite movie, favourite animal,"
    " favourite band, nickname, middle name, favourite cake, favourite team, favourite game, star sign,"
    " favorite song, favourite teacher",
    "routine": "bedtime, lunch time, dinner time, bath time, nap time, wake-up time, curfew, breakfast"
    " time, bath day, screen time, pocket money, allowance, snack time, story time, walk, feeding time",
    "bill": "rent, electricity bill, gas bill, water bill, phone bill, mortgage payment, school fee,"
    " insurance premium, council tax, tax, internet bill, deposit, salary, car insurance, subscription,"
    " membership, road tax, library fine",
    "appointment": "dentist appointment, doctor's appointment, car inspection, boiler service,"
    " vaccination, eye test, school trip, exam, parents' meeting, haircut, check-up, vet appointment, MOT,"
    " visit, delivery, chimney inspection, interview, vet visit, oil change, driving test, concert,"
    " flight, meeting",
    "programme": "quick program, quick programme, wool program, eco program, night mode, timer, delicate"
    " cycle, cotton program, silent mode, child lock, spin speed, intensive program, rinse cycle, eco"
    " mode, short program",
    "quality": "old, new, spare, big, small, red, blue, green, black, white, yellow, first, second, upper,"
    " lower, left, right, winter, summer, upstairs, downstairs, inner, outer, top, bottom, good, best,"
    " extra, electric",
}

PERSON_GROUPS = frozenset(
    {"man", "woman", "surname", "parent", "grandparent", "relative", "children", "child", "profession"}
)
FAMILY_GROUPS = frozenset({"parent", "grandparent", "relative", "children", "child"})

MASS_WORDS = frozenset(
    _GROUPS["food"].lower().replace(", egg,", ",").replace(", potato, onion,", ",").split(", ")
) | frozenset(
    "string, sticky tape, medicine, sunscreen, gift wrap, wrapping paper, toilet paper, detergent,"
    " bleach, hand soap, shampoo, toothpaste, insect spray, jewellery, wallpaper, paint, glue,"
    " sandpaper, duct tape, rubbish, trash, garbage, recycling, glass, paper, laundry, mail,"
    " compost, garden waste, organic waste, bulky waste, milk".split(", ")
)
"""Listed words without a plural."""

_SYNONYMS = (
    "garbage, rubbish, trash, waste|mum, mama, mom, mummy, mommy, mother|dad, papa, daddy, father"
    "|oma, grandma, granny, nana, nan, grandmother|opa, grandpa, grandad, granddad, grandfather|torch, flashlight"
    "|neighbour, neighbor|kids, children|pediatrician, paediatrician|tv, television, smart tv|vacuum, vacuum cleaner"
    "|cooker, stove, hob|tablet, ipad|wifi, wi-fi, wlan, wi-fi network, wifi network, internet, network"
    "|guest wifi, guest wi-fi, guest network|doctor, family doctor|cleaner, cleaning lady, housekeeper"
    "|mailbox, letter box, letterbox|licence plate, license plate, number plate, registration number|bike, bicycle"
    "|rucksack, backpack|couch, sofa|programme, program|ladder, stepladder, step ladder|house, flat, apartment"
    "|smoke alarm, smoke detector|bakery, baker|stopcock, main valve, water valve, stop valve, shut-off valve"
    "|fuse box, breaker, circuit breaker, electrical panel|remote, remote control|lawnmower, lawn mower"
    "|phone number, number, mobile number, telephone number, cell phone number, work number, office number"
    "|email address, e-mail address, email, e-mail|address, postal address|wellies, rubber boots"
    "|code, pin, password, passcode, combination, access code, pin code, entry code, passphrase"
)
"""Words of one list that can mean the same: none is a near miss of another."""


@cache
def synonyms(word: str) -> frozenset[str]:
    """All words that can mean the same as ``word`` (lower case), itself included."""
    for group in _SYNONYMS.split("|"):
        words = frozenset(group.split(", "))
        if word in words:
            return words
    return frozenset({word})


HEAD_SWAPS = {
    "secret": ("key", "lock", "handle", "colour", "manual", "number"),
    "contact": ("birthday", "address", "shoe size", "email address", "favourite colour", "phone number"),
    "routine": ("birthday", "teacher", "favourite food", "bedroom", "school"),
    "programme": ("eco program", "filter", "manual", "timer", "child lock", "wool program"),
    "size": ("birthday", "phone number", "height", "favourite colour", "shoe size"),
    "weekday": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "meal": "breakfast, lunch, dinner, supper, brunch, afternoon tea",
    "home": "house, flat, apartment, cottage, holiday house, summer house, holiday flat, bungalow",
    "dish": "lasagne, pizza, roast, apple pie, quiche, casserole, gratin, cake, moussaka, roast chicken,"
    " meatloaf, pizza dough, bread dough, cheesecake, risotto, stew, salmon, shepherd's pie",
    "seasonal": "Christmas decorations, Easter decorations, fairy lights, party hats, birthday candles,"
    " Halloween costumes, balloons, Christmas stockings, streamers, Easter eggs",
    "celebration": ("phone number", "shoe size", "address", "birthday", "favourite cake"),
    "favourite": ("birthday", "nickname", "favourite animal", "favourite colour", "shoe size"),
    "identity": ("serial number", "colour", "insurance", "price", "model number"),
    "bill": ("deposit", "contract", "key", "insurance"),
    "furniture": ("carpet", "lamp", "curtain", "wallpaper", "paint", "clock"),
    "profession": (),
    "network": (),
}
"""Other heads that the same modifier goes with: "front door code" → "front door key"."""


@cache
def groups() -> dict[str, tuple[str, ...]]:
    """The words of each kind, in their order."""
    return {name: tuple(word.strip() for word in words.split(",")) for name, words in _GROUPS.items()}


@cache
def index() -> dict[str, tuple[str, ...]]:
    """For each word or phrase in lower case the kinds it is of."""
    table: dict[str, tuple[str, ...]] = {}
    for name, words in groups().items():
        for word in words:
            table[word.lower()] = (*table.get(word.lower(), ()), name)
    return table


def singular(word: str) -> str:
    """A guess at the singular of an English noun (``batteries`` → ``battery``)."""
    irregular = {
        "children": "child",
        "people": "person",
        "mice": "mouse",
        "feet": "foot",
        "knives": "knife",
        "shelves": "shelf",
        "women": "woman",
        "men": "man",
        "geese": "goose",
        "wives": "wife",
    }
    head, _, last = word.rpartition(" ")
    start = head + " " if head else ""
    if last.lower() in irregular:
        return start + irregular[last.lower()]
    if last.endswith("ies") and len(last) > 4:
        return start + last[:-3] + "y"
    if last.endswith(("shes", "ches", "sses", "xes")):
        return start + last[:-2]
    if last.endswith("s") and not last.endswith(("ss", "us", "is")):
        return start + last[:-1]
    return word


def plural(word: str) -> str:
    """A guess at the plural of an English noun (``battery`` → ``batteries``)."""
    irregular = {
        "child": "children",
        "person": "people",
        "mouse": "mice",
        "foot": "feet",
        "knife": "knives",
        "shelf": "shelves",
        "woman": "women",
        "man": "men",
        "goose": "geese",
        "wife": "wives",
        "fish": "fish",
        "goldfish": "goldfish",
        "sheep": "sheep",
    }
    head, _, last = word.rpartition(" ")
    start = head + " " if head else ""
    if last.lower() in irregular:
        return start + irregular[last.lower()]
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return start + last[:-1] + "ies"
    if last.endswith(("s", "sh", "ch", "x")):
        return start + last + "es"
    return start + last + "s"


def kinds_of(phrase: str) -> tuple[str, ...]:
    """The kinds a word or phrase is of, singular or plural; empty when it is in no list."""
    phrase = phrase.lower()
    return index().get(phrase) or index().get(singular(phrase)) or ()


def head_kinds(phrase: str) -> tuple[str, ...]:
    """The kinds of the longest listed ending of a phrase (the head of an English noun phrase)."""
    words = phrase.split()
    for start in range(max(0, len(words) - 4), len(words)):
        kinds = kinds_of(" ".join(words[start:]))
        if kinds:
            return kinds
    return ()
