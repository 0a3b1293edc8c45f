//! The HTML preset in a real browser.
//!
//! It needs `chromium`, or the browser that `PORTCULLIS_CHROMIUM` names; without one the tests say so by name, and fail
//! under `CI=true`.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::{get, post};
use portcullis::headers::{
    Csp, CspNonce, Directive, SecurityHeaders, SecurityHeadersBuilder, SecurityHeadersLayer,
};
use tokio::net::TcpListener;
use tower::Layer as _;

/// How long a browser may take to start and show a page.
const PATIENCE: Duration = Duration::from_secs(90);

fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("PORTCULLIS_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let installed = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file());
    let found = named.or(installed);
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no chromium, under CI=true");
        eprintln!("skipped: {} (no chromium)", std::thread::current().name().unwrap_or("browser"));
    }
    found
}

/// Serves a router on a port of its own.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

/// What the browser makes of a page.
async fn dom(browser: &PathBuf, address: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let child = tokio::process::Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-extensions"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=3000", "--dump-dom", address])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output =
        tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("the browser hangs").unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(dom.contains("<html"), "{dom}\n{}", String::from_utf8_lossy(&output.stderr));
    dom
}

/// A page with scripts of its own and of somebody else's. Each that runs leaves its name; a violation leaves the
/// directive and what was blocked.
fn page(nonce: &CspNonce, elsewhere: &str) -> String {
    format!(
        r#"<!doctype html>
<html><head><title>page</title>
<script nonce="{nonce}">
document.addEventListener('securitypolicyviolation', e => {{
    note('violation', e.effectiveDirective + ' ' + (e.blockedURI || 'none') + ' ' + e.disposition)
}})
function note(kind, name) {{
    const mark = document.createElement('p')
    mark.textContent = '[' + kind + ' ' + name + ']'
    document.documentElement.appendChild(mark)
}}
note('ran', 'own-inline')
</script>
<style nonce="{nonce}">#own {{ color: rgb(1, 2, 3) }}</style>
<link rel="stylesheet" href="/style.css">
</head><body>
<p id="own">own</p><p id="linked">linked</p>
<script nonce="{nonce}" src="/app.js"></script>
<script nonce="{nonce}">
const seen = id => getComputedStyle(document.getElementById(id)).color
note('style', seen('own') + ' ' + seen('linked'))
</script>
<!-- injected -->
<script>note('ran', 'injected-inline')</script>
<script nonce="AAAAAAAAAAAAAAAAAAAAAA">note('ran', 'injected-nonce')</script>
<img src="/nothing.png" onerror="note('ran', 'injected-handler')">
<script src="{elsewhere}/evil.js"></script>
<script src="/uploaded.js"></script>
<base href="{elsewhere}/">
</body></html>"#
    )
}

/// The page behind these headers, and somebody else's origin; reports are counted.
async fn site(headers: &SecurityHeadersBuilder) -> (String, Arc<Mutex<Vec<String>>>) {
    let script = |name: &'static str| {
        get(move || async move { ([("content-type", "text/javascript")], format!("note('ran', '{name}')")) })
    };
    let elsewhere = serve(Router::new().route("/evil.js", script("other-origin"))).await;
    let reports = Arc::new(Mutex::new(Vec::new()));
    let kept = reports.clone();
    let router = Router::new()
        .route("/", get(async move |nonce: CspNonce| Html(page(&nonce, &elsewhere))))
        .route(
            "/app.js",
            get(async || {
                let script = "note('ran', 'own-external')\n\
                    const more = document.createElement('script')\nmore.src = '/more.js'\ndocument.body.appendChild(more)";
                ([("content-type", "text/javascript")], script)
            }),
        )
        .route("/more.js", script("loaded-by-own"))
        .route("/uploaded.js", script("uploaded"))
        .route("/style.css", get(async || ([("content-type", "text/css")], "#linked { color: rgb(4, 5, 6) }")))
        .route(
            "/reports",
            post(async move |body: String| kept.lock().unwrap().push(body)),
        );
    let service = SecurityHeadersLayer::new(headers.build().unwrap()).layer(router);
    (serve(Router::new().fallback_service(service)).await, reports)
}

fn notes<'a>(dom: &'a str, kind: &str) -> Vec<&'a str> {
    let mark = format!("[{kind} ");
    let mut found: Vec<_> =
        dom.match_indices(&mark).filter_map(|(at, _)| dom[at + mark.len()..].split(']').next()).collect();
    // The page's own source has the marks too, as `'[' + kind`, which does not match.
    found.sort_unstable();
    found
}

const OWN: [&str; 3] = ["loaded-by-own", "own-external", "own-inline"];

// ASVS 3.4.3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_html_preset_runs_what_is_its_own_and_nothing_else() {
    let Some(browser) = browser() else { return };
    let (origin, _) = site(&SecurityHeaders::html()).await;
    let dom = dom(&browser, &origin).await;
    assert_eq!(notes(&dom, "ran"), OWN, "{dom}");
    assert_eq!(notes(&dom, "style"), ["rgb(1, 2, 3) rgb(4, 5, 6)"], "{dom}");
    let violations = notes(&dom, "violation");
    for blocked in
        ["script-src-elem inline", "script-src-attr inline", "script-src-elem http", "base-uri http"]
    {
        let found = violations.iter().any(|v| v.starts_with(blocked) && v.ends_with(" enforce"));
        assert!(found, "{blocked}: {violations:?}");
    }
    // Two inline scripts, one handler, a script of another origin, one that was uploaded here, the base.
    assert_eq!(violations.len(), 6, "{violations:?}");
}

/// A page without anything injected violates nothing: the preset does not get in its own way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_its_own_violates_nothing() {
    let Some(browser) = browser() else { return };
    let page = async |nonce: CspNonce| {
        let page = page(&nonce, "");
        Html(page.split("<!-- injected -->").next().unwrap().to_owned() + "</body></html>")
    };
    let script = async || ([("content-type", "text/javascript")], "note('ran', 'own-external')");
    let style = async || ([("content-type", "text/css")], "#linked { color: rgb(4, 5, 6) }");
    let router =
        Router::new().route("/", get(page)).route("/app.js", get(script)).route("/style.css", get(style));
    let headers = SecurityHeaders::html().build().unwrap();
    let origin = serve(router.layer(SecurityHeadersLayer::new(headers))).await;
    let dom = dom(&browser, &origin).await;
    assert_eq!(notes(&dom, "ran"), ["own-external", "own-inline"], "{dom}");
    assert_eq!(notes(&dom, "violation"), [""; 0], "{dom}");
}

/// A policy that only reports lets everything run, tells the page, and sends reports.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_only_reports_blocks_nothing() {
    let Some(browser) = browser() else { return };
    let policy = Csp::html().add(Directive::ReportUri, ["/reports"]);
    let headers = SecurityHeaders::html().without_csp().with_csp_report_only(policy);
    let (origin, reports) = site(&headers).await;
    let dom = dom(&browser, &origin).await;
    let ran = notes(&dom, "ran");
    for name in OWN.into_iter().chain(["injected-inline", "injected-nonce", "injected-handler", "uploaded"]) {
        assert!(ran.contains(&name), "{name}: {ran:?}");
    }
    let violations = notes(&dom, "violation");
    assert!(violations.len() >= 5, "{violations:?}");
    assert!(violations.iter().all(|violation| violation.ends_with(" report")), "{violations:?}");
    let reports = reports.lock().unwrap();
    assert!(reports.iter().any(|report| report.contains("script-src")), "{reports:?}");
}
