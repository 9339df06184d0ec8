//! Words that stay as they are wherever they stand, since the server knows them: names of commands, options, what
//! scripts are written with.

use std::collections::BTreeSet;

use crate::command::registry::Registry;

/// What the table of commands does not declare.
const OTHERS: &str = "\
on off nopass resetpass allkeys allchannels allcommands nocommands resetkeys resetchannels reset clearselectors \
sanitize skip payload all keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin \
fast slow blocking dangerous connection transaction scripting default normal master slave replica primary yes no \
object populate digest jmap reload sleep segfault panic oom error log len change repl id listpack quicklist packed \
threshold stringmatch active expire protocol attrib bulk double null array map verbatim true false bignum push htstats \
htstats key value info nonkey everything server clients memory persistence stats replication cpu modules commandstats \
errorstats latencystats cluster keyspace sentinel \
and break do else elseif end for function goto if in local nil not or repeat return then until while \
redis call pcall keys argv sha1hex sethook setresp set_repl setrepl log breakpoint debug register function replicate \
commands reply ok err status warning notice verbose acl check cmd version num name callback description flags lua \
string format rep sub byte char find match gmatch gsub len lower upper reverse table insert remove concat sort unpack \
pack getn maxn foreach foreachi math floor ceil abs max min random randomseed huge sqrt pow mod fmod modf log10 exp pi \
tostring tonumber type pairs ipairs next select error assert pcall xpcall rawget rawset rawequal setmetatable \
getmetatable loadstring load unpack os clock time cjson encode decode cmsgpack struct bit band bor bxor bnot lshift \
rshift arshift rol ror tobit tohex bswap g index newindex tostring eq lt le add sub mul div unm coroutine create \
resume yield wrap running self ok n";

/// The reserved words in lower case.
pub fn reserved(commands: &Registry) -> BTreeSet<Vec<u8>> {
    let mut reserved: BTreeSet<Vec<u8>> = OTHERS.split(' ').map(|word| word.as_bytes().to_vec()).collect();
    for command in commands.iter() {
        add(&mut reserved, &command.full_name);
        // In the notation of arguments, words that clients send are in capitals.
        let words = command.spec.arguments.split(|letter: char| !letter.is_ascii_alphanumeric());
        let tokens = words.filter(|word| word.bytes().any(|byte| byte.is_ascii_uppercase()));
        tokens.for_each(|word| add(&mut reserved, word));
    }
    reserved
}

fn add(reserved: &mut BTreeSet<Vec<u8>>, text: &str) {
    let runs = text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|run| !run.is_empty());
    reserved.extend(runs.map(|run| run.to_ascii_lowercase().into_bytes()));
}
