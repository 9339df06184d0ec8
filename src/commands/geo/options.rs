//! What the search commands take as arguments: the same options, less or more of them, in any order.

use smallvec::smallvec;

use crate::command::error::CommandError;
use crate::command::keys::{KeyList, KeyReference};
use crate::command::options::{OptionWalk, OptionWord};
use crate::resp::{Args, number};
use crate::types::geo::{Place, Search, Shape, Unit};

/// How the search commands differ in what they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// GEORADIUS: coordinates and radius first, then options.
    Radius { may_store: bool },
    /// GEORADIUSBYMEMBER: member and radius first, then options.
    RadiusByMember { may_store: bool },
    /// GEOSEARCH: all are options.
    Search,
    /// GEOSEARCHSTORE: two keys, then options.
    SearchStore,
}

impl Syntax {
    /// Which argument is the key to search.
    pub(super) fn source_index(self) -> usize {
        match self {
            Syntax::SearchStore => 2,
            Syntax::Radius { .. } | Syntax::RadiusByMember { .. } | Syntax::Search => 1,
        }
    }

    /// Which argument is the first option.
    fn options_index(self) -> usize {
        match self {
            Syntax::Radius { .. } => 6,
            Syntax::RadiusByMember { .. } => 5,
            Syntax::Search => 2,
            Syntax::SearchStore => 3,
        }
    }

    /// The event of storing what was found.
    pub(super) fn event(self) -> &'static str {
        match self {
            Syntax::Radius { .. } | Syntax::RadiusByMember { .. } => "georadiusstore",
            Syntax::Search | Syntax::SearchStore => "geosearchstore",
        }
    }

    fn is_search(self) -> bool {
        matches!(self, Syntax::Search | Syntax::SearchStore)
    }

    /// The options that it takes.
    fn words(self) -> &'static [OptionWord<GeoOption>] {
        match self {
            Syntax::Radius { may_store: true } | Syntax::RadiusByMember { may_store: true } => &WORDS[..SEARCH_WORDS],
            Syntax::Radius { .. } | Syntax::RadiusByMember { .. } => &WORDS[COMMON_WORDS..SEARCH_WORDS],
            Syntax::Search => &WORDS[COMMON_WORDS..WORDS.len() - 1],
            Syntax::SearchStore => &WORDS[COMMON_WORDS..],
        }
    }

    /// Walks the options of a request.
    fn walk(self, args: Args<'_>) -> OptionWalk<'_, GeoOption> {
        OptionWalk::new(args, self.options_index(), self.words())
    }
}

/// An option of a search command.
#[derive(Clone, Copy)]
enum GeoOption {
    /// STORE and STOREDIST with a key, of commands whose name has no STORE.
    StoreAt {
        distances: bool,
    },
    WithDistance,
    WithHash,
    WithCoordinates,
    Any,
    Order(Order),
    Count,
    FromMember,
    FromCoordinates,
    ByRadius,
    ByBox,
    ByPolygon,
    StoreDistances,
}

/// Those of GEORADIUS alone come first, then those of all commands, then those of GEOSEARCH, and the last is
/// GEOSEARCHSTORE's.
static WORDS: &[OptionWord<GeoOption>] = &[
    OptionWord::new("STORE", 1, GeoOption::StoreAt { distances: false }),
    OptionWord::new("STOREDIST", 1, GeoOption::StoreAt { distances: true }),
    OptionWord::new("WITHDIST", 0, GeoOption::WithDistance),
    OptionWord::new("WITHHASH", 0, GeoOption::WithHash),
    OptionWord::new("WITHCOORD", 0, GeoOption::WithCoordinates),
    OptionWord::new("ANY", 0, GeoOption::Any),
    OptionWord::new("ASC", 0, GeoOption::Order(Order::NearestFirst)),
    OptionWord::new("DESC", 0, GeoOption::Order(Order::FarthestFirst)),
    OptionWord::new("COUNT", 1, GeoOption::Count),
    OptionWord::new("FROMMEMBER", 1, GeoOption::FromMember),
    OptionWord::new("FROMLONLAT", 2, GeoOption::FromCoordinates),
    OptionWord::new("BYRADIUS", 2, GeoOption::ByRadius),
    OptionWord::new("BYBOX", 3, GeoOption::ByBox),
    // And as many coordinates as the first operand says.
    OptionWord::new("BYPOLYGON", 2, GeoOption::ByPolygon),
    OptionWord::new("STOREDIST", 0, GeoOption::StoreDistances),
];

/// Where the options of all commands begin in `WORDS`.
const COMMON_WORDS: usize = 2;
/// Where those of GEOSEARCH begin.
const SEARCH_WORDS: usize = 9;

/// The keys of GEORADIUS and GEORADIUSBYMEMBER: the one that is searched, and those after STORE and STOREDIST. Each of
/// these may stand several times, and the last counts; the others are keys too, as they are to Redis.
pub(super) fn find_keys(args: Args<'_>, syntax: Syntax) -> KeyList {
    let options = syntax.walk(args).flatten();
    let stores = options.filter(|(option, _)| matches!(option, GeoOption::StoreAt { .. }));
    let mut keys = smallvec![KeyReference::read(syntax.source_index())];
    keys.extend(stores.map(|(_, place)| KeyReference::overwrite(place + 1)));
    keys
}

/// By distance from the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    NearestFirst,
    FarthestFirst,
}

/// What the reply says of each member found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Details {
    pub(super) distance: bool,
    pub(super) hash: bool,
    pub(super) coordinates: bool,
}

impl Details {
    /// How many there are.
    pub(super) fn count(self) -> usize {
        usize::from(self.distance) + usize::from(self.hash) + usize::from(self.coordinates)
    }
}

/// A key to store what is found at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Destination<'a> {
    pub(super) key: &'a [u8],
    /// Whether the scores are distances instead of geohashes.
    pub(super) distances: bool,
}

/// Everything that a search command asks for.
pub(super) struct Request<'a> {
    /// Missing where the key to search is: then it needs not be complete.
    pub(super) search: Option<Search>,
    pub(super) order: Option<Order>,
    /// At most so many members.
    pub(super) count: Option<usize>,
    /// Any members will do, not just the nearest.
    pub(super) any: bool,
    pub(super) details: Details,
    pub(super) destination: Option<Destination<'a>>,
}

/// Where the members of the key to search are; nothing if there is no such key.
pub(super) type Places<'a> = Option<&'a dyn Fn(&[u8]) -> Option<Place>>;

/// Reads the arguments of a search command. `places` tells where members are: members of a key that does not exist are
/// not missed here. Errors: any of the syntax, values out of range, a member that is not there.
pub(super) fn parse<'a>(args: Args<'a>, syntax: Syntax, places: Places<'_>) -> Result<Request<'a>, CommandError> {
    let mut parser = Parser {
        args,
        syntax,
        places,
        from: None,
        by: None,
        order: None,
        count: None,
        any: false,
        details: Details::default(),
        destination: None,
    };
    parser.take_fixed()?;
    let mut walk = syntax.walk(args);
    while let Some(found) = walk.next() {
        let (option, place) = found?;
        let more = parser.take_option(option, place + 1)?;
        walk.skip_operands(more);
    }
    parser.finish()
}

/// What a search is from.
#[derive(Clone, Copy)]
enum From {
    /// The place, if the key to search is there.
    Member(Option<Place>),
    Coordinates(Place),
}

/// What a search is within.
enum By {
    Radius(Shape, Unit),
    Box(Shape, Unit),
    Polygon(Vec<Place>),
}

struct Parser<'a, 'p> {
    args: Args<'a>,
    syntax: Syntax,
    places: Places<'p>,
    from: Option<From>,
    by: Option<By>,
    order: Option<Order>,
    count: Option<usize>,
    any: bool,
    details: Details,
    destination: Option<Destination<'a>>,
}

impl<'a> Parser<'a, '_> {
    /// The arguments before the options.
    fn take_fixed(&mut self) -> Result<(), CommandError> {
        match self.syntax {
            Syntax::Radius { .. } => {
                self.from = Some(From::Coordinates(place(self.args, 2)?));
                let (radius, unit) = radius(self.args, 4)?;
                self.by = Some(By::Radius(radius, unit));
            }
            // Without the key Redis does not look at the radius.
            Syntax::RadiusByMember { .. } if self.places.is_some() => {
                self.from = Some(self.member(self.args.at(2))?);
                let (radius, unit) = radius(self.args, 3)?;
                self.by = Some(By::Radius(radius, unit));
            }
            Syntax::RadiusByMember { .. } | Syntax::Search => {}
            Syntax::SearchStore => {
                self.destination = Some(Destination { key: self.args.at(1), distances: false });
            }
        }
        Ok(())
    }

    /// Takes one option in, whose operands begin at `at`; tells how many more it has than its word promises.
    fn take_option(&mut self, option: GeoOption, at: usize) -> Result<usize, CommandError> {
        match option {
            GeoOption::WithDistance => self.details.distance = true,
            GeoOption::WithHash => self.details.hash = true,
            GeoOption::WithCoordinates => self.details.coordinates = true,
            GeoOption::Any => self.any = true,
            GeoOption::Order(order) => self.order = Some(order),
            GeoOption::Count => self.take_count(at)?,
            GeoOption::StoreAt { distances } => {
                let key = self.args.at(at);
                self.destination = Some(Destination { key, distances });
            }
            GeoOption::StoreDistances => {
                if let Some(destination) = &mut self.destination {
                    destination.distances = true;
                }
            }
            option => return self.take_search_option(option, at),
        }
        Ok(0)
    }

    /// The options of which there may be only one kind: FROMMEMBER or FROMLONLAT, BYRADIUS or BYBOX, or BYPOLYGON
    /// alone. The same one may be repeated.
    fn take_search_option(&mut self, option: GeoOption, at: usize) -> Result<usize, CommandError> {
        let has_polygon = matches!(self.by, Some(By::Polygon(_)));
        match option {
            GeoOption::FromMember if !self.is_from_coordinates() && !has_polygon => {
                self.from = Some(self.member(self.args.at(at))?);
            }
            GeoOption::FromCoordinates if !self.is_from_member() && !has_polygon => {
                self.from = Some(From::Coordinates(place(self.args, at)?));
            }
            GeoOption::ByRadius if matches!(self.by, None | Some(By::Radius(..))) => {
                let (radius, unit) = radius(self.args, at)?;
                self.by = Some(By::Radius(radius, unit));
            }
            GeoOption::ByBox if matches!(self.by, None | Some(By::Box(..))) => {
                let (rectangle, unit) = rectangle(self.args, at)?;
                self.by = Some(By::Box(rectangle, unit));
            }
            GeoOption::ByPolygon if matches!(self.by, None | Some(By::Polygon(_))) && self.from.is_none() => {
                return self.take_polygon(at);
            }
            _ => return Err(CommandError::SYNTAX),
        }
        Ok(0)
    }

    fn is_from_member(&self) -> bool {
        matches!(self.from, Some(From::Member(_)))
    }

    fn is_from_coordinates(&self) -> bool {
        matches!(self.from, Some(From::Coordinates(_)))
    }

    fn take_count(&mut self, at: usize) -> Result<(), CommandError> {
        let count = number::parse_i64(self.args.at(at)).ok_or(CommandError::NOT_AN_INTEGER)?;
        if count <= 0 {
            return Err(CommandError::fixed("ERR COUNT must be > 0"));
        }
        self.count = Some(usize::try_from(count).unwrap_or(usize::MAX));
        Ok(())
    }

    /// Where a member is. Nothing if the key is not there. Errors: the key is there, the member is not.
    fn member(&self, member: &[u8]) -> Result<From, CommandError> {
        const MISSING: CommandError = CommandError::fixed("ERR could not decode requested zset member");
        let place = self.places.map(|places| places(member).ok_or(MISSING));
        Ok(From::Member(place.transpose()?))
    }

    /// Takes BYPOLYGON in; tells how many operands it has besides two.
    fn take_polygon(&mut self, at: usize) -> Result<usize, CommandError> {
        const INVALID_COUNT: CommandError = CommandError::fixed("ERR invalid number of vertices");
        const TOO_FEW: CommandError = CommandError::fixed("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices");
        let count = number::parse_i64(self.args.at(at)).ok_or(INVALID_COUNT)?;
        let count = i32::try_from(count).map_err(|_| INVALID_COUNT)?;
        let count = usize::try_from(count).unwrap_or(0);
        if count < 3 || at + 1 + 2 * count > self.args.len() {
            return Err(TOO_FEW);
        }
        let corners = (0..count).map(|index| place(self.args, at + 1 + 2 * index));
        self.by = Some(By::Polygon(corners.collect::<Result<_, _>>()?));
        Ok(2 * count - 1)
    }

    /// Checks what goes together, once all options are read.
    fn finish(self) -> Result<Request<'a>, CommandError> {
        if self.destination.is_some() && self.details.count() > 0 {
            let subject = match self.syntax {
                Syntax::SearchStore => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            return Err(CommandError::new(format!(
                "ERR {subject} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        let is_polygon = matches!(self.by, Some(By::Polygon(_)));
        if self.syntax.is_search() && self.from.is_none() && !is_polygon {
            return Err(self.needs_one_of("FROMMEMBER or FROMLONLAT"));
        }
        if self.syntax.is_search() && self.by.is_none() {
            return Err(self.needs_one_of("BYRADIUS and BYBOX"));
        }
        if self.any && self.count.is_none() {
            return Err(CommandError::fixed("ERR the ANY argument requires COUNT argument"));
        }
        let center = match self.from {
            Some(From::Coordinates(place) | From::Member(Some(place))) => Some(place),
            Some(From::Member(None)) | None => None,
        };
        let search = match (center, self.by) {
            (Some(center), Some(By::Radius(shape, unit) | By::Box(shape, unit))) => {
                Some(Search::around(center, shape, unit))
            }
            (_, Some(By::Polygon(corners))) => Some(Search::polygon(corners)),
            _ => None,
        };
        // The best of a number of members are the nearest, unless any will do.
        let nearest = self.count.is_some() && !self.any;
        Ok(Request {
            search,
            order: self.order.or(nearest.then_some(Order::NearestFirst)),
            count: self.count,
            any: self.any,
            details: self.details,
            destination: self.destination,
        })
    }

    fn needs_one_of(&self, options: &str) -> CommandError {
        let command = String::from_utf8_lossy(self.args.at(0));
        CommandError::new(format!("ERR exactly one of {options} can be specified for {command}"))
    }
}

/// The place whose longitude and latitude stand at `index` and behind. Errors: they are no numbers, or beyond the
/// limits.
pub(super) fn place(args: Args<'_>, index: usize) -> Result<Place, CommandError> {
    let longitude = number::parse_f64(args.at(index)).ok_or(CommandError::NOT_A_FLOAT)?;
    let latitude = number::parse_f64(args.at(index + 1)).ok_or(CommandError::NOT_A_FLOAT)?;
    Place::new(longitude, latitude)
        .ok_or_else(|| CommandError::new(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}")))
}

/// The unit of that name. Errors: there is none.
pub(super) fn unit(name: &[u8]) -> Result<Unit, CommandError> {
    Unit::parse(name).ok_or(CommandError::fixed("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

/// A radius and its unit, at `index` and behind. Errors: not a number, negative, not a unit.
fn radius(args: Args<'_>, index: usize) -> Result<(Shape, Unit), CommandError> {
    let error = CommandError::fixed("ERR need numeric radius");
    let radius = number::parse_f64(args.at(index)).ok_or(error)?;
    if radius < 0.0 {
        return Err(CommandError::fixed("ERR radius cannot be negative"));
    }
    Ok((Shape::Circle { radius }, unit(args.at(index + 1))?))
}

/// Width and height and their unit, at `index` and behind. Errors: not numbers, negative, not a unit.
fn rectangle(args: Args<'_>, index: usize) -> Result<(Shape, Unit), CommandError> {
    let error = CommandError::fixed("ERR need numeric width");
    let width = number::parse_f64(args.at(index)).ok_or(error)?;
    let error = CommandError::fixed("ERR need numeric height");
    let height = number::parse_f64(args.at(index + 1)).ok_or(error)?;
    if width < 0.0 || height < 0.0 {
        return Err(CommandError::fixed("ERR height or width cannot be negative"));
    }
    let shape = Shape::Rectangle { width, height };
    Ok((shape, unit(args.at(index + 2))?))
}
