//! Random scripts: expressions over the standard library with odd values, by a seed.
//!
//! A script is a few statements that each show an expression, or the error that it raises, and then the list of what
//! was shown. Nothing that is generated runs long: counts are small, and patterns short.

/// Numbers that conversions and borders make interesting.
const NUMBERS: &[&str] = &[
    "0", "1", "-1", "2", "3", "7", "-0", "0.5", "-1.5", "2.5", "1e15", "1e16", "0.1", "255", "256", "65535", "-32",
    "2^31", "-2^31", "2^31-1", "2^32", "2^53", "-2^53", "1e100", "1/0", "-1/0", "0/0", "-(0/0)", "5e-324",
];

const STRINGS: &[&str] = &[
    "''",
    "'a'",
    "'abc'",
    "'hello world'",
    "'10'",
    "' 7 '",
    "'0x1F'",
    "'1e3'",
    "'-5'",
    "'x\\0y'",
    "'\\255\\128'",
    "'key=value, k2=v2'",
    "'%d'",
    "'nil'",
    "'[1,2,{\"a\":null}]'",
    "'{\"a\":1.5,\"b\":[true,false]}'",
    "'\\145\\1'",
    "'\\130\\161a\\1\\161b\\2'",
    "'  trim  '",
    "'AbC'",
];

const TABLES: &[&str] = &[
    "{}",
    "{1,2,3}",
    "{3,1,2}",
    "{1,nil,3}",
    "{nil,nil,3}",
    "{'a','b','c'}",
    "{a=1,b=2,c=3}",
    "{1,2,x='y'}",
    "{{1},{2,{3}}}",
    "{[1]=1,[2]=2,[4]=4}",
    "{[10]=1}",
    "{1.5,'x',true}",
    "{name='n',id=5,tags={'t1','t2'}}",
    "{true,false}",
    "{n=3}",
    "{[0]=0,1}",
];

const PATTERNS: &[&str] = &[
    "'.'",
    "'%a+'",
    "'%d*'",
    "'(%w+)=(%w+)'",
    "'^%s*(.-)%s*$'",
    "'[a-c]'",
    "'[^%w]'",
    "'l+'",
    "'()'",
    "'%f[%w]%w+'",
    "'%b()'",
    "''",
    "'x?'",
    "'(.)(.)'",
    "'%z'",
    "'$'",
    "'('",
    "'%'",
    "'[a'",
    "'o.-l'",
];

const FORMATS: &[&str] = &[
    "'%d'", "'%5d|'", "'%-5d|'", "'%05d'", "'%+d'", "'%x'", "'%X'", "'%#x'", "'%o'", "'%u'", "'%c'", "'%e'", "'%.3f'",
    "'%g'", "'%.14g'", "'%s'", "'%10s|'", "'%-10s|'", "'%.2s'", "'%q'", "'%i'", "'%5.1f'", "'%%'", "'%y'",
];

const PACKS: &[&str] = &[
    "'b'", "'B'", "'h'", "'>H'", "'i4'", "'>i4'", "'I8'", "'l'", "'f'", "'d'", "'>d'", "'s'", "'c0'", "'c2'", "'!4bi'",
    "'bxb'", "'i3'", "'x'",
];

/// What an argument is drawn from.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    Small,
    Text,
    Table,
    Pattern,
    Format,
    Pack,
    Function,
    Any,
}

use Kind::{Any, Format, Function, Number, Pack, Pattern, Small, Table, Text};

/// The functions, each with the kinds of its arguments; of these the last may be left out.
const FUNCTIONS: &[(&str, &[Kind])] = &[
    ("str", &[Any]),
    ("tonumber", &[Any, Small]),
    ("type", &[Any]),
    ("select", &[Small, Any, Any]),
    ("unpack", &[Table, Small, Small]),
    ("next", &[Table, Any]),
    ("rawequal", &[Any, Any]),
    ("rawget", &[Table, Any]),
    ("rawset", &[Table, Any, Any]),
    ("pcall", &[Function, Any]),
    ("assert", &[Any, Any]),
    ("string.byte", &[Text, Number, Number]),
    ("string.char", &[Number, Number]),
    ("string.find", &[Text, Pattern, Number]),
    ("string.format", &[Format, Any]),
    ("string.gsub", &[Text, Pattern, Text, Small]),
    ("string.gsub", &[Text, Pattern, Function]),
    ("string.gsub", &[Text, Pattern, Table]),
    ("string.len", &[Text]),
    ("string.lower", &[Text]),
    ("string.match", &[Text, Pattern, Number]),
    ("string.rep", &[Text, Small]),
    ("string.reverse", &[Text]),
    ("string.sub", &[Text, Number, Number]),
    ("string.upper", &[Text]),
    ("table.concat", &[Table, Text, Small, Small]),
    ("table.maxn", &[Table]),
    ("table.getn", &[Table]),
    ("math.abs", &[Number]),
    ("math.ceil", &[Number]),
    ("math.floor", &[Number]),
    ("math.fmod", &[Number, Number]),
    ("math.modf", &[Number]),
    ("math.max", &[Number, Number, Number]),
    ("math.min", &[Number, Number, Number]),
    ("math.frexp", &[Number]),
    ("math.ldexp", &[Number, Small]),
    ("math.pow", &[Number, Small]),
    ("math.sqrt", &[Number]),
    ("math.random", &[Small, Small]),
    ("bit.tobit", &[Number]),
    ("bit.tohex", &[Number, Number]),
    ("bit.band", &[Number, Number, Number]),
    ("bit.bor", &[Number, Number]),
    ("bit.bxor", &[Number, Number]),
    ("bit.bnot", &[Number]),
    ("bit.lshift", &[Number, Small]),
    ("bit.rshift", &[Number, Small]),
    ("bit.arshift", &[Number, Small]),
    ("bit.rol", &[Number, Small]),
    ("bit.bswap", &[Number]),
    ("cjson.encode", &[Any]),
    ("cjson.encode", &[Table]),
    ("cjson.decode", &[Text]),
    ("cmsgpack.pack", &[Any, Any]),
    ("cmsgpack.pack", &[Table]),
    ("cmsgpack.unpack", &[Text]),
    ("cmsgpack.unpack_limit", &[Text, Small, Small]),
    ("struct.pack", &[Pack, Any, Any]),
    ("struct.unpack", &[Pack, Text, Small]),
    ("struct.size", &[Pack]),
    ("redis.sha1hex", &[Text]),
    ("redis.error_reply", &[Text]),
    ("redis.status_reply", &[Text]),
    ("loadstring", &[Text]),
];

const CALLBACKS: &[&str] = &[
    "function(a) return a end",
    "function(a, b) return b end",
    "function() return nil end",
    "function() return false end",
    "function(a) return #a end",
    "function(a) return a .. a end",
    "function(...) return select('#', ...) end",
    "function() error('inside') end",
    "function(a) return a.x.y end",
    "function(a) return a + 1 end",
    "type",
    "string.upper",
];

const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", "^", "..", "==", "~=", "<", "<=", ">", ">=", "and", "or"];

/// The script's first line: `show` describes values to their depth in the order of `pairs`, which depends on addresses
/// where keys are tables or functions; `str` is `tostring` without the address.
const SHOW: &str = "local r = {} local function str(...) return (tostring(...):gsub('0x%x+', 'ADDRESS')) end local function show(v, d) if type(v) == 'number' then return string.format('%.17g', v) elseif type(v) == 'string' then return str(v) elseif type(v) == 'table' and d < 4 then local s = '{' for k, e in pairs(v) do if type(k) == 'table' or type(k) == 'function' then return 'ADDRESSES' end s = s .. show(k, d + 1) .. '=' .. show(e, d + 1) .. ';' end return s .. '}' elseif type(v) == 'nil' or type(v) == 'boolean' then return tostring(v) else return type(v) end end local function out(...) local s = '' for i = 1, select('#', ...) do s = s .. '<' .. show((select(i, ...)), 0) .. '>' end r[#r + 1] = s end";

/// The script of a seed.
pub fn script(seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = SHOW.to_string();
    let count = random.usize(1..4);
    for index in 0..count {
        let last = index + 1 == count;
        let statement = match random.u8(..10) {
            // An error that ends the script shows the text with its place.
            0 if last => format!("local x = {} out(x)", expression(&mut random, 0, Any)),
            1 => statement_on_table(&mut random),
            2 => format!(
                "local a, b = {}, {} out(pcall(function() return a {} b end))",
                expression(&mut random, 2, Any),
                expression(&mut random, 2, Any),
                pick(&mut random, OPERATORS)
            ),
            _ => format!("out(pcall(function() return {} end))", expression(&mut random, 0, Any)),
        };
        text.push('\n');
        text.push_str(&statement);
    }
    text.push_str("\nreturn r");
    text
}

/// Changes a table, and shows its length, its order and what `ipairs` finds.
fn statement_on_table(random: &mut fastrand::Rng) -> String {
    let mut text = format!("local ok, e = pcall(function() local t = {}", pick(random, TABLES));
    for _ in 0..random.usize(1..5) {
        let value = expression(random, 2, Any);
        text.push_str(&match random.u8(..6) {
            0 => format!(" table.insert(t, {value})"),
            1 => format!(" table.insert(t, {}, {value})", random.i32(-1..6)),
            2 => format!(" table.remove(t, {})", random.i32(-1..6)),
            3 => " table.remove(t)".into(),
            4 => format!(" t[{}] = {value}", random.i32(0..8)),
            _ => format!(" t.k{} = {value}", random.u8(..6)),
        });
    }
    if random.u8(..4) == 0 {
        text.push_str(" table.sort(t)");
    }
    text.push_str(
        " local n = 0 for i in ipairs(t) do n = i end out(#t, n, t) out(select('#', unpack(t))) end) out(ok, e)",
    );
    text
}

/// An expression of a kind; the deeper, the more often a plain value.
fn expression(random: &mut fastrand::Rng, depth: usize, kind: Kind) -> String {
    // Now and then an argument is of another kind than the function wants.
    let kind = if random.u8(..12) == 0 { Any } else { kind };
    if depth < 3 && random.usize(..4) > depth && matches!(kind, Any | Number | Text) {
        return call(random, depth + 1);
    }
    match kind {
        Number => pick(random, NUMBERS).into(),
        Small => random.i32(-3..12).to_string(),
        Text => pick(random, STRINGS).into(),
        Table => pick(random, TABLES).into(),
        Pattern => pick(random, PATTERNS).into(),
        Format => pick(random, FORMATS).into(),
        Pack => pick(random, PACKS).into(),
        Function => pick(random, CALLBACKS).into(),
        Any => match random.u8(..8) {
            0 => "nil".into(),
            1 => ["true", "false"][random.usize(..2)].into(),
            2 | 3 => pick(random, NUMBERS).into(),
            4 | 5 => pick(random, STRINGS).into(),
            6 => pick(random, TABLES).into(),
            _ => operation(random),
        },
    }
}

fn operation(random: &mut fastrand::Rng) -> String {
    let values = [NUMBERS, STRINGS, NUMBERS, TABLES];
    let [left, right] = [0; 2].map(|_| {
        let from = values[random.usize(..4)];
        pick(random, from)
    });
    match random.u8(..6) {
        0 => format!("(- {left})"),
        1 => format!("(# {left})"),
        2 => format!("(not {left})"),
        _ => format!("(({left}) {} ({right}))", pick(random, OPERATORS)),
    }
}

fn call(random: &mut fastrand::Rng, depth: usize) -> String {
    let (name, kinds) = FUNCTIONS[random.usize(..FUNCTIONS.len())];
    let mut count = kinds.len();
    while count > 1 && random.u8(..3) == 0 {
        count -= 1;
    }
    if random.u8(..20) == 0 {
        count -= 1;
    }
    let arguments: Vec<String> = kinds[..count].iter().map(|kind| expression(random, depth + 1, *kind)).collect();
    format!("{name}({})", arguments.join(", "))
}

fn pick<'a>(random: &mut fastrand::Rng, from: &[&'a str]) -> &'a str {
    from[random.usize(..from.len())]
}
