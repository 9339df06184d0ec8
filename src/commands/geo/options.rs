//! What the search commands take as arguments: the same options, less or more of them, in any order.

use crate::command::error::CommandError;
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

    fn takes_store_option(self) -> bool {
        match self {
            Syntax::Radius { may_store } | Syntax::RadiusByMember { may_store } => may_store,
            Syntax::Search | Syntax::SearchStore => false,
        }
    }
}

/// By distance from the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    NearestFirst,
    FarthestFirst,
}

/// What is told of each member found.
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

/// Reads the arguments of a search command. `places` tells where members are: members of a key that does not exist are not missed
/// here. Errors: any of the syntax, values out of range, a member that is not there.
pub(super) fn parse<'a>(args: Args<'a>, syntax: Syntax, places: Places<'_>) -> Result<Request<'a>, CommandError> {
    let mut parser = Parser {
        args,
        syntax,
        places,
        at: syntax.options_index(),
        from: None,
        by: None,
        order: None,
        count: None,
        any: false,
        details: Details::default(),
        destination: None,
    };
    parser.take_fixed()?;
    while let Some(word) = parser.next() {
        parser.take_option(word)?;
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
    at: usize,
    from: Option<From>,
    by: Option<By>,
    order: Option<Order>,
    count: Option<usize>,
    any: bool,
    details: Details,
    destination: Option<Destination<'a>>,
}

impl<'a> Parser<'a, '_> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let word = self.args.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    /// Whether so many arguments are left.
    fn has(&self, count: usize) -> bool {
        self.at + count <= self.args.len()
    }

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

    fn take_option(&mut self, word: &[u8]) -> Result<(), CommandError> {
        match word.to_ascii_lowercase().as_slice() {
            b"withdist" => self.details.distance = true,
            b"withhash" => self.details.hash = true,
            b"withcoord" => self.details.coordinates = true,
            b"any" => self.any = true,
            b"asc" => self.order = Some(Order::NearestFirst),
            b"desc" => self.order = Some(Order::FarthestFirst),
            b"count" if self.has(1) => self.take_count()?,
            b"store" if self.has(1) && self.syntax.takes_store_option() => self.take_key(false),
            b"storedist" if self.has(1) && self.syntax.takes_store_option() => self.take_key(true),
            b"storedist" if self.syntax == Syntax::SearchStore => {
                if let Some(destination) = &mut self.destination {
                    destination.distances = true;
                }
            }
            name if self.syntax.is_search() => return self.take_search_option(name),
            _ => return Err(CommandError::SYNTAX),
        }
        Ok(())
    }

    /// The options of which there may be only one kind: FROMMEMBER or FROMLONLAT, BYRADIUS or BYBOX, or BYPOLYGON alone. The same
    /// one may be repeated.
    fn take_search_option(&mut self, name: &[u8]) -> Result<(), CommandError> {
        let has_polygon = matches!(self.by, Some(By::Polygon(_)));
        match name {
            b"frommember" if self.has(1) && !self.is_from_coordinates() && !has_polygon => {
                self.from = Some(self.member(self.args.at(self.at))?);
                self.at += 1;
            }
            b"fromlonlat" if self.has(2) && !self.is_from_member() && !has_polygon => {
                self.from = Some(From::Coordinates(place(self.args, self.at)?));
                self.at += 2;
            }
            b"byradius" if self.has(2) && matches!(self.by, None | Some(By::Radius(..))) => {
                let (radius, unit) = radius(self.args, self.at)?;
                self.by = Some(By::Radius(radius, unit));
                self.at += 2;
            }
            b"bybox" if self.has(3) && matches!(self.by, None | Some(By::Box(..))) => {
                let (rectangle, unit) = rectangle(self.args, self.at)?;
                self.by = Some(By::Box(rectangle, unit));
                self.at += 3;
            }
            b"bypolygon" if self.has(2) && matches!(self.by, None | Some(By::Polygon(_))) && self.from.is_none() => {
                self.take_polygon()?;
            }
            _ => return Err(CommandError::SYNTAX),
        }
        Ok(())
    }

    fn is_from_member(&self) -> bool {
        matches!(self.from, Some(From::Member(_)))
    }

    fn is_from_coordinates(&self) -> bool {
        matches!(self.from, Some(From::Coordinates(_)))
    }

    fn take_count(&mut self) -> Result<(), CommandError> {
        let count = number::parse_i64(self.args.at(self.at)).ok_or(CommandError::NOT_AN_INTEGER)?;
        if count <= 0 {
            return Err(CommandError::fixed("ERR COUNT must be > 0"));
        }
        self.count = Some(usize::try_from(count).unwrap_or(usize::MAX));
        self.at += 1;
        Ok(())
    }

    fn take_key(&mut self, distances: bool) {
        let key = self.args.at(self.at);
        self.destination = Some(Destination { key, distances });
        self.at += 1;
    }

    /// Where a member is. Nothing if the key is not there. Errors: the key is there, the member is not.
    fn member(&self, member: &[u8]) -> Result<From, CommandError> {
        const MISSING: CommandError = CommandError::fixed("ERR could not decode requested zset member");
        let place = self.places.map(|places| places(member).ok_or(MISSING));
        Ok(From::Member(place.transpose()?))
    }

    fn take_polygon(&mut self) -> Result<(), CommandError> {
        const INVALID_COUNT: CommandError = CommandError::fixed("ERR invalid number of vertices");
        const TOO_FEW: CommandError = CommandError::fixed("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices");
        let count = number::parse_i64(self.args.at(self.at)).ok_or(INVALID_COUNT)?;
        let count = i32::try_from(count).map_err(|_| INVALID_COUNT)?;
        let count = usize::try_from(count).unwrap_or(0);
        self.at += 1;
        if count < 3 || !self.has(2 * count) {
            return Err(TOO_FEW);
        }
        let corners = (0..count).map(|index| place(self.args, self.at + 2 * index));
        self.by = Some(By::Polygon(corners.collect::<Result<_, _>>()?));
        self.at += 2 * count;
        Ok(())
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

/// The place whose longitude and latitude stand at `index` and behind. Errors: they are no numbers, or beyond the limits.
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
