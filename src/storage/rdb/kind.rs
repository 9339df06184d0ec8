//! The numbers of the types of values, as they stand before each value.

/// What a value is and how its bytes are laid out. The variants' numbers are the format's, up to
/// [`ValueKind::SetListpack`]'s successor; beyond, servers differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueKind {
    /// A string.
    String,
    /// A list, element by element.
    List,
    /// A set, member by member.
    Set,
    /// A sorted set, member by member, the scores as text.
    SortedSetText,
    /// A hash, field by field.
    Hash,
    /// A sorted set, member by member.
    SortedSet,
    /// What a module made, before Redis 4.0.
    ModulePreRelease,
    /// What a module made.
    Module,
    /// A hash as a zipmap.
    HashZipmap,
    /// A list as one ziplist.
    ListZiplist,
    /// A set as an intset.
    SetIntset,
    /// A sorted set as a ziplist.
    SortedSetZiplist,
    /// A hash as a ziplist.
    HashZiplist,
    /// A list as several ziplists.
    ListZiplists,
    /// A stream, as Redis 5 writes it.
    Stream1,
    /// A hash as a listpack.
    HashListpack,
    /// A sorted set as a listpack.
    SortedSetListpack,
    /// A list as several listpacks and large elements.
    ListListpacks,
    /// A stream, as Redis 7.0 writes it: with counts of entries.
    Stream2,
    /// A set as a listpack.
    SetListpack,
    /// A stream, as Redis 7.2 writes it: with the consumers' times of activity.
    Stream3,
    /// A hash with expiry times, field by field, as candidates of Redis 7.4 wrote it.
    HashTimesPreRelease,
    /// The same as a listpack.
    HashTimesListpackPreRelease,
    /// A hash with expiry times, field by field, as Redis 7.4 writes it.
    HashTimes,
    /// The same as a listpack.
    HashTimesListpack,
    /// A hash with expiry times, field by field, as Valkey 9 writes it.
    HashTimesValkey,
}

/// Versions from this one on are Valkey's, where they give numbers another meaning.
const VALKEY_VERSION_MIN: u16 = 80;

/// What Valkey's number for a hash with expiry times is.
const VALKEY_HASH_NUMBER: u8 = 22;

/// The numbers of Redis.
const NUMBERS: [(u8, ValueKind); 25] = [
    (0, ValueKind::String),
    (1, ValueKind::List),
    (2, ValueKind::Set),
    (3, ValueKind::SortedSetText),
    (4, ValueKind::Hash),
    (5, ValueKind::SortedSet),
    (6, ValueKind::ModulePreRelease),
    (7, ValueKind::Module),
    (9, ValueKind::HashZipmap),
    (10, ValueKind::ListZiplist),
    (11, ValueKind::SetIntset),
    (12, ValueKind::SortedSetZiplist),
    (13, ValueKind::HashZiplist),
    (14, ValueKind::ListZiplists),
    (15, ValueKind::Stream1),
    (16, ValueKind::HashListpack),
    (17, ValueKind::SortedSetListpack),
    (18, ValueKind::ListListpacks),
    (19, ValueKind::Stream2),
    (20, ValueKind::SetListpack),
    (21, ValueKind::Stream3),
    (22, ValueKind::HashTimesPreRelease),
    (23, ValueKind::HashTimesListpackPreRelease),
    (24, ValueKind::HashTimes),
    (25, ValueKind::HashTimesListpack),
];

impl ValueKind {
    /// The kind that a number stands for in data of a version of the format.
    pub fn of(number: u8, version: u16) -> Option<ValueKind> {
        if version >= VALKEY_VERSION_MIN && number >= VALKEY_HASH_NUMBER {
            return (number == VALKEY_HASH_NUMBER).then_some(ValueKind::HashTimesValkey);
        }
        let known = NUMBERS.iter().find(|(known, _)| *known == number);
        known.map(|&(_, kind)| kind)
    }

    /// The number that stands for the kind.
    pub fn number(self) -> u8 {
        let known = NUMBERS.iter().find(|(_, kind)| *kind == self);
        known.map_or(VALKEY_HASH_NUMBER, |&(number, _)| number)
    }

    /// The name that Redis's snapshot checker uses for it.
    pub fn tool_name(self) -> &'static str {
        match self {
            ValueKind::String => "string",
            ValueKind::List => "list-linked",
            ValueKind::Set => "set-hashtable",
            ValueKind::SortedSetText => "zset-v1",
            ValueKind::Hash => "hash-hashtable",
            ValueKind::SortedSet => "zset-v2",
            ValueKind::ModulePreRelease => "module-pre-release",
            ValueKind::Module => "module-value",
            ValueKind::HashZipmap => "hash-zipmap",
            ValueKind::ListZiplist => "list-ziplist",
            ValueKind::SetIntset => "set-intset",
            ValueKind::SortedSetZiplist => "zset-ziplist",
            ValueKind::HashZiplist => "hash-ziplist",
            ValueKind::ListZiplists => "quicklist",
            ValueKind::Stream1 => "stream",
            ValueKind::HashListpack => "hash-listpack",
            ValueKind::SortedSetListpack => "zset-listpack",
            ValueKind::ListListpacks => "quicklist-v2",
            ValueKind::Stream2 => "stream-v2",
            ValueKind::SetListpack => "set-listpack",
            ValueKind::Stream3 => "stream-v3",
            ValueKind::HashTimesPreRelease => "hash-hashtable-md-pre-release",
            ValueKind::HashTimesListpackPreRelease => "hash-listpack-md-pre-release",
            ValueKind::HashTimes => "hash-hashtable-md",
            ValueKind::HashTimesListpack => "hash-listpack-md",
            ValueKind::HashTimesValkey => "hash-volatile-items",
        }
    }

    /// What the check of its packed collections is called.
    pub(crate) fn check_name(self) -> &'static str {
        match self {
            ValueKind::HashZipmap => "Zipmap",
            ValueKind::ListZiplist => "List ziplist",
            ValueKind::SetIntset => "Intset",
            ValueKind::SortedSetZiplist => "Zset ziplist",
            ValueKind::HashZiplist => "Hash ziplist",
            ValueKind::ListZiplists => "Ziplist",
            ValueKind::SetListpack => "Set listpack",
            ValueKind::SortedSetListpack => "Zset listpack",
            ValueKind::HashListpack | ValueKind::HashTimesListpack | ValueKind::HashTimesListpackPreRelease => {
                "Hash listpack"
            }
            ValueKind::Stream1 | ValueKind::Stream2 | ValueKind::Stream3 => "Stream listpack",
            _ => "Listpack",
        }
    }

    /// The lowest version of the format that has it.
    pub fn version(self) -> u16 {
        match self.number() {
            _ if self == ValueKind::HashTimesValkey => VALKEY_VERSION_MIN,
            22.. => 12,
            20..=21 => 11,
            16..=19 => 10,
            15 => 9,
            5..=7 => 8,
            14 => 7,
            13 => 4,
            9..=12 => 2,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_kinds_belong_together() {
        for number in 0..=255 {
            let redis = ValueKind::of(number, 12);
            assert_eq!(redis.is_some(), number < 26 && number != 8, "{number}");
            assert!(redis.is_none_or(|kind| kind.number() == number));
            let valkey = ValueKind::of(number, 80);
            assert_eq!(valkey.is_some(), number < 23 && number != 8, "{number}");
            assert!(valkey.is_none_or(|kind| kind.number() == number));
        }
        assert_eq!(ValueKind::of(22, 80), Some(ValueKind::HashTimesValkey));
        assert_eq!(ValueKind::of(22, 12), Some(ValueKind::HashTimesPreRelease));
    }

    #[test]
    fn versions_grow_with_the_kinds() {
        assert_eq!(ValueKind::String.version(), 1);
        assert_eq!(ValueKind::SortedSet.version(), 8);
        assert_eq!(ValueKind::Stream3.version(), 11);
        assert_eq!(ValueKind::HashTimesListpack.version(), 12);
        assert_eq!(ValueKind::HashTimesValkey.version(), 80);
    }
}
