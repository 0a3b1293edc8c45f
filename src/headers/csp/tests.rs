use super::*;

fn built(csp: &Csp) -> Result<String, String> {
    csp.build().map(|csp| csp.to_string()).map_err(|error| error.to_string())
}

// ASVS 3.4.3, 3.4.6
#[test]
fn the_presets() {
    assert_eq!(built(&Csp::api()).unwrap(), "default-src 'none'; frame-ancestors 'none'");
    assert_eq!(
        built(&Csp::html()).unwrap(),
        "default-src 'self'; script-src 'nonce-{nonce}' 'strict-dynamic'; object-src 'none'; base-uri 'none'; \
         style-src 'self' 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'"
    );
}

#[test]
fn the_nonce_is_filled_in_everywhere_or_left_out_everywhere() {
    let csp = Csp::html().build().unwrap();
    let nonce = CspNonce::generate().unwrap();
    let value = csp.value(Some(&nonce));
    assert_eq!(value.to_str().unwrap(), csp.to_string().replace("{nonce}", nonce.as_str()));
    assert_eq!(value.len(), csp.len, "allocated once");
    let closed = csp.value(None);
    assert!(!closed.to_str().unwrap().contains("nonce"));
    assert!(closed.to_str().unwrap().contains("script-src 'strict-dynamic';"), "nothing runs");
    let csp = Csp::new().add(Directive::ScriptSrc, [Source::nonce()]).build().unwrap();
    assert_eq!(csp.value(None), "script-src 'none'");
    assert!(!Csp::api().build().unwrap().needs_nonce());
}

#[test]
fn what_may_stand_in_a_source_list() {
    let sha256 = Source::sha256([7; 32]);
    assert!(Csp::new().add(Directive::ScriptSrc, [sha256]).build().is_ok());
    let sha384 = format!("'sha384-{}'", "A".repeat(64));
    for (directive, value) in [
        (Directive::ScriptSrc, "https://cdn.example"),
        (Directive::ScriptSrc, "https://cdn.example:8443/js/"),
        (Directive::ScriptSrc, "cdn.example"),
        (Directive::ScriptSrc, "*.cdn.example"),
        (Directive::ScriptSrc, "127.0.0.1:8080"),
        (Directive::ScriptSrc, "cdn.example:*"),
        (Directive::ScriptSrc, sha384.as_str()),
        (Directive::ScriptSrc, "'report-sample'"),
        (Directive::ConnectSrc, "wss://live.example"),
        (Directive::ImgSrc, "data:"),
        (Directive::ImgSrc, "https:"),
        (Directive::ImgSrc, "*"),
        (Directive::WorkerSrc, "blob:"),
        (Directive::FrameAncestors, "https://shop.example"),
        (Directive::Sandbox, "allow-scripts"),
        (Directive::ReportTo, "csp"),
        (Directive::ReportUri, "/reports?a=b"),
        (Directive::RequireTrustedTypesFor, "'script'"),
        (Directive::TrustedTypes, "my-policy#1"),
    ] {
        let csp = Csp::new().add(directive, [value]);
        assert_eq!(built(&csp), Ok(format!("{directive} {value}")));
        assert_eq!(
            built(&Csp::parse(&format!(" {directive}  {value} ;"))),
            Ok(format!("{directive} {value}"))
        );
    }
    let flags = Csp::new().add_flag(Directive::UpgradeInsecureRequests).add_flag(Directive::Sandbox);
    assert_eq!(built(&flags).unwrap(), "upgrade-insecure-requests; sandbox");
}

#[test]
fn what_must_not() {
    let short = format!("'sha256-{}'", "A".repeat(42));
    let wrong_algorithm = format!("'sha384-{}'", "A".repeat(43) + "=");
    for (name, directive, values) in [
        ("unquoted self", Directive::ScriptSrc, vec!["self"]),
        ("unquoted none", Directive::ObjectSrc, vec!["none"]),
        ("unquoted, in capitals", Directive::ScriptSrc, vec!["SELF"]),
        ("unquoted unsafe-inline", Directive::StyleSrc, vec!["unsafe-inline"]),
        ("unquoted strict-dynamic", Directive::ScriptSrc, vec!["strict-dynamic"]),
        ("unquoted in frame-ancestors", Directive::FrameAncestors, vec!["self"]),
        ("double quotes", Directive::ScriptSrc, vec!["\"self\""]),
        ("half a quote", Directive::ScriptSrc, vec!["'self"]),
        ("no keyword", Directive::ScriptSrc, vec!["'selfish'"]),
        ("unsafe-inline", Directive::StyleSrc, vec!["'unsafe-inline'"]),
        ("unsafe-eval", Directive::ScriptSrc, vec!["'UNSAFE-eval'"]),
        ("wasm-unsafe-eval", Directive::ScriptSrc, vec!["'wasm-unsafe-eval'"]),
        ("unsafe-hashes", Directive::ScriptSrcAttr, vec!["'unsafe-hashes'"]),
        ("none and more", Directive::ScriptSrc, vec!["'none'", "'self'"]),
        ("more and none", Directive::FrameAncestors, vec!["https://a.example", "'none'"]),
        ("nothing", Directive::ScriptSrc, vec![]),
        ("empty", Directive::ScriptSrc, vec![""]),
        ("another directive", Directive::ImgSrc, vec!["https://a.example; script-src *"]),
        ("semicolon", Directive::ImgSrc, vec!["https://a.example/a;b"]),
        ("another policy", Directive::ImgSrc, vec!["https://a.example,"]),
        ("two in one", Directive::ImgSrc, vec!["'self' data:"]),
        ("line break", Directive::ImgSrc, vec!["https://a.example\r\nSet-Cookie: a=b"]),
        ("NUL", Directive::ImgSrc, vec!["https://a.example\0"]),
        ("not ASCII", Directive::ImgSrc, vec!["https://\u{e4}.example"]),
        ("nonce written down", Directive::ScriptSrc, vec!["'nonce-abc'"]),
        ("nonce without quotes", Directive::ScriptSrc, vec!["nonce-abc"]),
        ("hash without quotes", Directive::ScriptSrc, vec!["sha256-AAAA"]),
        ("short hash", Directive::ScriptSrc, vec![&short]),
        ("hash of another length", Directive::ScriptSrc, vec![&wrong_algorithm]),
        ("hash of images", Directive::ImgSrc, vec!["'sha256-AAAA'"]),
        ("strict-dynamic alone", Directive::ScriptSrc, vec!["'strict-dynamic'"]),
        ("strict-dynamic for images", Directive::ImgSrc, vec!["'strict-dynamic'"]),
        ("scripts from everywhere", Directive::ScriptSrc, vec!["*"]),
        ("scripts from any host", Directive::ScriptSrc, vec!["https:"]),
        ("scripts from any host, longer", Directive::ScriptSrc, vec!["https://*"]),
        ("scripts from any host at a port", Directive::ScriptSrc, vec!["https://*:443"]),
        ("scripts in addresses", Directive::ScriptSrc, vec!["data:"]),
        ("default from everywhere", Directive::DefaultSrc, vec!["*"]),
        ("plugins from everywhere", Directive::ObjectSrc, vec!["https:"]),
        ("base from everywhere", Directive::BaseUri, vec!["*"]),
        ("javascript:", Directive::FormAction, vec!["javascript:"]),
        ("no scheme", Directive::ImgSrc, vec!["h\u{74}tp!:"]),
        ("userinfo", Directive::ImgSrc, vec!["https://a@b.example"]),
        ("underscore", Directive::ImgSrc, vec!["a_b.example"]),
        ("wildcard inside", Directive::ImgSrc, vec!["a.*.example"]),
        ("wildcard at the end", Directive::ImgSrc, vec!["a.*"]),
        ("port 0", Directive::ImgSrc, vec!["a.example:0"]),
        ("port 65536", Directive::ImgSrc, vec!["a.example:65536"]),
        ("empty label", Directive::ImgSrc, vec!["a..example"]),
        ("IPv6", Directive::ImgSrc, vec!["[::1]"]),
        ("query", Directive::ImgSrc, vec!["a.example/b?c"]),
        ("path alone", Directive::ImgSrc, vec!["/a"]),
        ("sandbox", Directive::Sandbox, vec!["allow-everything"]),
        ("two endpoints", Directive::ReportTo, vec!["a", "b"]),
        ("report to plain HTTP", Directive::ReportUri, vec!["http://a.example"]),
        ("sinks without quotes", Directive::RequireTrustedTypesFor, vec!["script"]),
        ("a flag with a value", Directive::UpgradeInsecureRequests, vec!["1"]),
        ("keyword of Trusted Types", Directive::TrustedTypes, vec!["none"]),
    ] {
        let error = Csp::new().add(directive, values.clone()).build().map(|csp| csp.to_string());
        let error = error.expect_err(name);
        assert_eq!(error.field(), format!("Content-Security-Policy: {directive}"), "{name}");
    }
}

#[test]
fn directives_that_stand_twice_or_that_nobody_knows() {
    for (name, csp, field) in [
        ("twice", Csp::html().add(Directive::ScriptSrc, ["'self'"]), "script-src"),
        ("twice in text", Csp::parse("default-src 'self'; Default-Src 'none'"), "default-src"),
        ("unknown", Csp::parse("scirpt-src 'self'"), "scirpt-src"),
        ("obsolete", Csp::parse("default-src 'none'; block-all-mixed-content"), "block-all-mixed-content"),
        ("an injected header", Csp::parse("default-src 'none'; a\r\nb: c"), "a"),
        ("a nonce for images", Csp::new().add(Directive::ImgSrc, [Source::nonce()]), "img-src"),
        (
            "a nonce for attributes",
            Csp::new().add(Directive::ScriptSrcAttr, [Source::nonce()]),
            "script-src-attr",
        ),
    ] {
        let error = csp.build().expect_err(name);
        assert_eq!(error.field(), format!("Content-Security-Policy: {field}"), "{name}");
    }
    assert!(Csp::new().build().is_err(), "empty");
    assert!(Csp::parse(" ; ").build().is_err(), "empty text");
    let replaced = Csp::html().with(Directive::ScriptSrc, ["'self'"]).without(Directive::StyleSrc);
    assert!(built(&replaced).unwrap().starts_with("default-src 'self'; script-src 'self'; object-src"));
}

#[test]
fn what_weakens_has_a_name() {
    for what in [
        Unsafe::Inline,
        Unsafe::Eval,
        Unsafe::WasmEval,
        Unsafe::Hashes,
        Unsafe::Data,
        Unsafe::Blob,
        Unsafe::Https,
        Unsafe::Anywhere,
    ] {
        let csp = Csp::new().add(Directive::ScriptSrc, ["'self'"]).danger_allow(Directive::ScriptSrc, what);
        assert_eq!(built(&csp).unwrap(), format!("script-src 'self' {}", what.as_str()));
        let again = Csp::parse(&built(&csp).unwrap());
        assert!(again.build().is_err(), "{what:?} as text");
    }
    let replaced =
        Csp::new().danger_allow(Directive::StyleSrc, Unsafe::Inline).with(Directive::StyleSrc, ["'self'"]);
    assert_eq!(built(&replaced).unwrap(), "style-src 'self'");
    assert!(Csp::new().danger_allow(Directive::FrameAncestors, Unsafe::Anywhere).build().is_err());
    assert!(Csp::api().danger_allow(Directive::DefaultSrc, Unsafe::Inline).build().is_err(), "beside 'none'");
}
