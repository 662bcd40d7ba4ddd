//! The grammar.
//!
//! `and` and `or` bind equally and to the left; `not` binds tightest. A number, address or name
//! behind `and` or `or` takes the qualifiers of the primitive before: `tcp dst port 80 or 443`.

use super::lexer::{Token, constant};
use super::tree::{Arith, Dir, Id, Proto, Quals, Tree, Type};
use super::{DEPTH_MAX, FilterError, OPERATORS_MAX};

/// Something that may be a number or a condition until more is read.
enum Value {
    Bool(Tree, Option<Quals>),
    Number(Arith),
}

pub(super) fn parse(tokens: &[Token]) -> Result<Option<Tree>, FilterError> {
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { tokens, at: 0, depth: 0, operators: 0 };
    let (tree, _) = parser.expression(None)?;
    if parser.at < tokens.len() {
        return Err(FilterError::syntax());
    }
    Ok(Some(tree))
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: u32,
    operators: u32,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += usize::from(token.is_some());
        token
    }

    fn sign_at(&self, ahead: usize) -> Option<&'static str> {
        match self.tokens.get(self.at + ahead) {
            Some(Token::Sign(s)) => Some(s),
            _ => None,
        }
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = self.sign_at(0) == Some(sign);
        self.at += usize::from(found);
        found
    }

    fn word(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(w)) => Some(w),
            _ => None,
        }
    }

    fn takes_word(&mut self, words: &[&str]) -> bool {
        let found = self.word().is_some_and(|w| words.contains(&w));
        self.at += usize::from(found);
        found
    }

    fn deeper<R>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<R, FilterError>,
    ) -> Result<R, FilterError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(exhausted());
        }
        let result = f(self);
        self.depth -= 1;
        result
    }

    fn count(&mut self) -> Result<(), FilterError> {
        self.operators += 1;
        match self.operators {
            n if n > OPERATORS_MAX => Err(exhausted()),
            _ => Ok(()),
        }
    }

    fn expression(&mut self, quals: Option<Quals>) -> Result<(Tree, Option<Quals>), FilterError> {
        match self.any(quals)? {
            Value::Bool(tree, quals) => Ok((tree, quals)),
            Value::Number(_) => Err(FilterError::syntax()),
        }
    }

    /// Terms with `and` and `or` between them, or a number alone.
    fn any(&mut self, quals: Option<Quals>) -> Result<Value, FilterError> {
        let (mut tree, mut quals) = match self.term(quals)? {
            Value::Number(n) => return Ok(Value::Number(n)),
            Value::Bool(tree, quals) => (tree, quals),
        };
        loop {
            let and = self.takes("&&") || self.takes_word(&["and"]);
            if !and && !(self.takes("||") || self.takes_word(&["or"])) {
                return Ok(Value::Bool(tree, quals));
            }
            self.count()?;
            let Value::Bool(right, next) = self.term(quals)? else {
                return Err(FilterError::syntax());
            };
            let (left, right) = (Box::new(tree), Box::new(right));
            tree = if and { Tree::And(left, right) } else { Tree::Or(left, right) };
            quals = next;
        }
    }

    fn term(&mut self, quals: Option<Quals>) -> Result<Value, FilterError> {
        if self.takes("!") || self.takes_word(&["not"]) {
            return match self.deeper(|p| p.term(quals))? {
                Value::Bool(tree, quals) => Ok(Value::Bool(Tree::Not(Box::new(tree)), quals)),
                Value::Number(_) => Err(FilterError::syntax()),
            };
        }
        if self.sign_at(0) == Some("(") {
            self.at += 1;
            let inner = self.deeper(|p| p.any(quals))?;
            if !self.takes(")") {
                return Err(FilterError::syntax());
            }
            return match inner {
                Value::Number(n) => self.relation(n),
                Value::Bool(tree, inner) => Ok(Value::Bool(tree, inner)),
            };
        }
        if self.is_arithmetic(quals.is_some()) {
            let operand = self.operand()?;
            return self.relation(operand);
        }
        self.primitive(quals)
    }

    /// Whether a number stands here that is not an id.
    fn is_arithmetic(&self, qualified: bool) -> bool {
        match self.peek() {
            Some(Token::Sign("-")) => true,
            Some(Token::Number(_)) => self.is_operator(1) || !qualified,
            Some(Token::Word(w)) => {
                matches!(w.as_str(), "len" | "length")
                    || constant(w).is_some()
                    || (Proto::of(w).is_some() && self.sign_at(1) == Some("["))
            }
            _ => false,
        }
    }

    fn is_operator(&self, ahead: usize) -> bool {
        self.sign_at(ahead).is_some_and(|s| {
            precedence(s).is_some() || matches!(s, "=" | "!=" | "<" | ">" | "<=" | ">=")
        })
    }

    /// The rest of `number relation number`, or the number alone when a parenthesis ends it.
    fn relation(&mut self, first: Arith) -> Result<Value, FilterError> {
        let left = self.arithmetic(first, 0)?;
        let Some(sign) = self.sign_at(0) else { return Err(FilterError::syntax()) };
        match sign {
            "=" | "!=" | "<" | ">" | "<=" | ">=" => {
                self.at += 1;
                let first = self.operand()?;
                let right = self.arithmetic(first, 0)?;
                Ok(Value::Bool(Tree::Relation(left, sign, right), None))
            }
            ")" => Ok(Value::Number(left)),
            _ => Err(FilterError::syntax()),
        }
    }

    fn arithmetic(&mut self, mut left: Arith, least: u8) -> Result<Arith, FilterError> {
        while let Some((sign, level)) = self.sign_at(0).and_then(|s| Some((s, precedence(s)?))) {
            if level < least {
                break;
            }
            self.at += 1;
            self.count()?;
            let first = self.operand()?;
            let right = self.deeper(|p| p.arithmetic(first, level + 1))?;
            left = Arith::Binary(sign, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Arith, FilterError> {
        match self.next() {
            Some(Token::Number(n)) => Ok(Arith::Number(n)),
            Some(Token::Sign("-")) => Ok(Arith::Negative(Box::new(self.deeper(Parser::operand)?))),
            Some(Token::Sign("(")) => self.deeper(|p| {
                let first = p.operand()?;
                let inner = p.arithmetic(first, 0)?;
                if p.takes(")") { Ok(inner) } else { Err(FilterError::syntax()) }
            }),
            Some(Token::Word(w)) => {
                if matches!(w.as_str(), "len" | "length") {
                    return Ok(Arith::Length);
                }
                if let Some(n) = constant(&w) {
                    return Ok(Arith::Number(n));
                }
                let proto = Proto::of(&w).ok_or_else(FilterError::syntax)?;
                if !self.takes("[") {
                    return Err(FilterError::syntax());
                }
                self.deeper(|p| p.load(proto))
            }
            _ => Err(FilterError::syntax()),
        }
    }

    /// `offset]` or `offset:size]`
    fn load(&mut self, proto: Proto) -> Result<Arith, FilterError> {
        let first = self.operand()?;
        let offset = self.arithmetic(first, 0)?;
        let size = if self.takes(":") {
            match self.next() {
                Some(Token::Number(n)) => n,
                _ => return Err(FilterError::syntax()),
            }
        } else {
            1
        };
        if !self.takes("]") {
            return Err(FilterError::syntax());
        }
        if !matches!(size, 1 | 2 | 4) {
            return Err(FilterError::new("data size must be 1, 2, or 4"));
        }
        Ok(Arith::Load(proto, Box::new(offset), size))
    }

    fn number(&mut self) -> Result<u32, FilterError> {
        match self.next() {
            Some(Token::Number(n)) => Ok(n),
            Some(Token::Word(w)) => constant(&w).ok_or_else(FilterError::syntax),
            _ => Err(FilterError::syntax()),
        }
    }

    /// Qualifiers and an id, a protocol, or one of the words that stand alone.
    fn primitive(&mut self, quals: Option<Quals>) -> Result<Value, FilterError> {
        let proto = self.word().and_then(Proto::of);
        self.at += usize::from(proto.is_some());
        let qualified = proto.unwrap_or(Proto::Default);
        if let Some(tree) = self.alone(proto)? {
            return Ok(Value::Bool(tree, None));
        }
        let dir = self.direction()?;
        let ty = self.id_type();
        if dir == Dir::Default && ty == Type::Default {
            return match proto {
                Some(proto) => Ok(Value::Bool(Tree::Proto(proto), None)),
                None => {
                    let quals = quals.ok_or_else(FilterError::syntax)?;
                    let tree = self.id(quals)?;
                    Ok(Value::Bool(tree, Some(quals)))
                }
            };
        }
        let undirected = matches!(ty, Type::Proto | Type::ProtoChain | Type::Gateway);
        if undirected && dir != Dir::Default {
            return Err(FilterError::syntax());
        }
        let quals = Quals { proto: qualified, dir, ty };
        let tree = self.id_or_group(quals)?;
        Ok(Value::Bool(tree, Some(quals)))
    }

    fn alone(&mut self, proto: Option<Proto>) -> Result<Option<Tree>, FilterError> {
        let qualified = proto.unwrap_or(Proto::Default);
        let word = self.word().unwrap_or_default().to_owned();
        let number = |p: &mut Self| {
            p.at += 1;
            p.number()
        };
        Ok(Some(match (word.as_str(), proto) {
            ("broadcast", _) => {
                self.at += 1;
                Tree::Broadcast(qualified)
            }
            ("multicast", _) => {
                self.at += 1;
                Tree::Multicast(qualified)
            }
            ("less", None) => Tree::Less(number(self)?),
            ("greater", None) => Tree::Greater(number(self)?),
            ("inbound" | "outbound", None) => {
                self.at += 1;
                Tree::Inbound(word == "inbound")
            }
            ("ifindex", None) => Tree::IfIndex(number(self)?),
            ("vlan", None) => {
                self.at += 1;
                let id = matches!(self.peek(), Some(Token::Number(_))) && !self.is_operator(1);
                Tree::Vlan(if id { Some(self.number()?) } else { None })
            }
            ("byte", None) => {
                let at = number(self)?;
                let Some(sign @ ("&" | "|" | "<" | ">" | "=")) = self.sign_at(0) else {
                    return Err(FilterError::syntax());
                };
                Tree::Byte(at, sign, number(self)?)
            }
            _ => return Ok(None),
        }))
    }

    fn direction(&mut self) -> Result<Dir, FilterError> {
        let first = match self.word() {
            Some("src") => Dir::Src,
            Some("dst") => Dir::Dst,
            _ => return Ok(Dir::Default),
        };
        self.at += 1;
        let other = if first == Dir::Src { "dst" } else { "src" };
        let joined = match (self.tokens.get(self.at), self.tokens.get(self.at + 1)) {
            (Some(join), Some(Token::Word(w))) if w == other => match join {
                Token::Word(j) if j == "or" => Some(Dir::Or),
                Token::Word(j) if j == "and" => Some(Dir::And),
                Token::Sign("||") => Some(Dir::Or),
                Token::Sign("&&") => Some(Dir::And),
                _ => None,
            },
            _ => None,
        };
        Ok(match joined {
            Some(dir) => {
                self.at += 2;
                dir
            }
            None => first,
        })
    }

    fn id_type(&mut self) -> Type {
        let ty = match self.word() {
            Some("host") => Type::Host,
            Some("net") => Type::Net,
            Some("port") => Type::Port,
            Some("portrange") => Type::PortRange,
            Some("proto") => Type::Proto,
            Some("protochain") => Type::ProtoChain,
            Some("gateway") => Type::Gateway,
            _ => return Type::Default,
        };
        self.at += 1;
        ty
    }

    /// An id, or several in parentheses: `host (a or b)`.
    fn id_or_group(&mut self, quals: Quals) -> Result<Tree, FilterError> {
        if self.takes("!") || self.takes_word(&["not"]) {
            return Ok(Tree::Not(Box::new(self.deeper(|p| p.id_or_group(quals))?)));
        }
        if !self.takes("(") {
            return self.id(quals);
        }
        let (tree, _) = self.deeper(|p| p.expression(Some(quals)))?;
        if self.takes(")") { Ok(tree) } else { Err(FilterError::syntax()) }
    }

    fn id(&mut self, quals: Quals) -> Result<Tree, FilterError> {
        let id = match self.next() {
            Some(Token::Number(n)) => Id::Number(n),
            Some(Token::Partial(v, bits, text)) => self.network(v, bits, text)?,
            Some(Token::BadAddress(text)) => {
                return Err(FilterError::new(format!("invalid IPv4 address '{text}'")));
            }
            Some(Token::V6(v6)) if self.takes("/") => Id::V6Prefix(v6, self.number()?),
            Some(Token::V6(v6)) => Id::V6(v6),
            Some(Token::Mac(mac)) => Id::Mac(mac),
            Some(Token::Name(name)) => Id::Name(name),
            Some(Token::Word(word)) => match constant(&word) {
                Some(n) => Id::Number(n),
                None if is_keyword(&word) => return Err(FilterError::syntax()),
                None => Id::Name(word),
            },
            _ => return Err(FilterError::syntax()),
        };
        Ok(Tree::Id(quals, id))
    }

    /// What may follow an IPv4 address.
    fn network(&mut self, value: u32, bits: u32, text: String) -> Result<Id, FilterError> {
        if self.takes("/") {
            return Ok(Id::Prefix(value, bits, text, self.number()?));
        }
        if !self.takes_word(&["mask"]) {
            return Ok(Id::Partial(value, bits, text));
        }
        match self.next() {
            Some(Token::Partial(m, mask_bits, mask)) => {
                Ok(Id::Mask((value, bits, text), (m, mask_bits, mask)))
            }
            _ => Err(FilterError::syntax()),
        }
    }
}

fn exhausted() -> FilterError {
    FilterError::new("can't parse filter expression: memory exhausted")
}

fn precedence(sign: &str) -> Option<u8> {
    Some(match sign {
        "|" | "^" => 0,
        "&" => 1,
        "<<" | ">>" => 2,
        "+" | "-" => 3,
        "*" | "/" | "%" => 4,
        _ => return None,
    })
}

fn is_keyword(word: &str) -> bool {
    const OTHERS: &[&str] = &[
        "src",
        "dst",
        "host",
        "net",
        "mask",
        "port",
        "portrange",
        "proto",
        "protochain",
        "gateway",
        "less",
        "greater",
        "byte",
        "broadcast",
        "multicast",
        "and",
        "or",
        "not",
        "len",
        "length",
        "inbound",
        "outbound",
        "ifindex",
        "vlan",
        "type",
        "subtype",
        "dir",
        "direction",
        "mpls",
        "pppoed",
        "pppoes",
        "geneve",
        "atalk",
        "aarp",
        "decnet",
        "lat",
        "sca",
        "moprc",
        "mopdl",
        "iso",
        "esis",
        "isis",
        "clnp",
        "stp",
        "ipx",
        "netbeui",
        "llc",
        "on",
        "ifname",
        "reason",
        "action",
        "radio",
    ];
    Proto::of(word).is_some() || OTHERS.contains(&word)
}
