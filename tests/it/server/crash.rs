//! `kill -9` between any two requests, and in the middle of one: what was answered stays true.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use serde_json::json;

use super::client::{Answer, Api, Tokens};
use super::{PASSWORD, Server};

const ROUNDS: usize = 14;

/// What the server has answered about one user.
struct Known {
    name: String,
    password: String,
    former_passwords: Vec<String>,
    live: Vec<Live>,
    /// Access tokens and refresh tokens of sign-ins that were ended.
    dead: Vec<Tokens>,
}

struct Live {
    tokens: Tokens,
    /// The predecessor of the refresh token; until that is used, it gives the same successor again.
    previous: Option<String>,
}

/// Small, and the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

// ASVS 7.4.1, 16.5.2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_kill_9() {
    let seed = RandomState::new().hash_one("seed") | 1;
    eprintln!("seed {seed}");
    let mut chance = Chance(seed);
    let mut server = Server::start();
    let mut api = server.api();
    let mut users = vec![registered(&api, "user0", PASSWORD).await];
    for round in 0..ROUNDS {
        for _ in 0..=chance.below(3) {
            step(&api, &mut users, &mut chance, round).await;
        }
        if round % 3 == 2 {
            let user = chance.below(users.len());
            interrupted(&mut server, &mut users[user], &mut chance, round).await;
        } else {
            server.kill();
        }
        server.restart();
        api = server.api();
        for user in &mut users {
            holds(&api, user).await;
        }
    }
    assert!(users.len() > 1 || users.iter().any(|user| !user.dead.is_empty()), "something happened");
}

/// One request, answered, and what it means.
async fn step(api: &Api, users: &mut Vec<Known>, chance: &mut Chance, round: usize) {
    if chance.below(5) == 0 {
        let user = registered(api, &format!("user{}", users.len()), PASSWORD).await;
        users.push(user);
        return;
    }
    let index = chance.below(users.len());
    let user = &mut users[index];
    if user.live.is_empty() {
        let tokens = api.sign_in_with(&user.name, &user.password).await.expect(200).tokens();
        user.live.push(Live { tokens, previous: None });
    }
    let which = chance.below(user.live.len());
    match chance.below(4) {
        0 => {
            let tokens = api.sign_in_with(&user.name, &user.password).await.expect(200).tokens();
            user.live.push(Live { tokens, previous: None });
        }
        1 => {
            let live = &mut user.live[which];
            let rotated = api.refresh(&live.tokens.refresh).await.expect(200).tokens();
            live.previous = Some(std::mem::replace(&mut live.tokens, rotated).refresh);
        }
        2 => {
            let live = user.live.remove(which);
            logout(api, &live.tokens).await.unwrap().expect(200);
            user.dead.push(live.tokens);
        }
        _ => {
            let new = format!("password number {round} of {}", user.name);
            let changed = change(api, user, which, &new).await.unwrap();
            // The same as before if this user changed it in this round already.
            let changed = changed.expect(200).tokens();
            user.dead.extend(user.live.drain(..).map(|live| live.tokens));
            user.live.push(Live { tokens: changed, previous: None });
            let former = std::mem::replace(&mut user.password, new);
            if former != user.password {
                user.former_passwords.push(former);
            }
        }
    }
}

/// Kills the server while a request is under way. Whether it was carried out is then open, but nothing in between.
async fn interrupted(server: &mut Server, user: &mut Known, chance: &mut Chance, round: usize) {
    let api = server.api();
    let tokens = api.sign_in_with(&user.name, &user.password).await.expect(200).tokens();
    user.live.push(Live { tokens: tokens.clone(), previous: None });
    let which = user.live.len() - 1;
    let new = format!("interrupted number {round} of {}", user.name);
    let kind = chance.below(3);
    let request = {
        let (api, new, current) = (api.clone(), new.clone(), user.password.clone());
        tokio::spawn(async move {
            match kind {
                0 => {
                    api.post("/api/auth/refresh", json!({ "refresh_token": tokens.refresh })).try_send().await
                }
                1 => logout(&api, &tokens).await,
                _ => {
                    let body = json!({ "current_password": current, "new_password": new });
                    api.post("/api/auth/password/change", body).bearer(&tokens.access).try_send().await
                }
            }
        })
    };
    // Not to wait for anything, but to hit another moment each time: a password change takes some 50 ms here.
    let longest = if kind == 2 { 80_000 } else { 6_000 };
    tokio::time::sleep(Duration::from_micros(u64::try_from(chance.below(longest)).unwrap())).await;
    server.kill();
    let answered = request.await.unwrap().ok();
    server.restart();
    let api = server.api();
    let live = &mut user.live[which];
    match (kind, answered) {
        (0, answered) => {
            // Carried out or not, the client can go on: at worst it is given what was made then.
            let next = api.refresh(&live.tokens.refresh).await.expect(200).tokens();
            if let Some(answered) = answered {
                assert_eq!(answered.expect(200).tokens().refresh, next.refresh);
            }
            live.previous = Some(std::mem::replace(&mut live.tokens, next).refresh);
        }
        (1, answered) => {
            let ended = api.me(&live.tokens.access).await.status == 401;
            assert!(ended || answered.is_none(), "an answered sign-out is one");
            if ended {
                let live = user.live.remove(which);
                user.dead.push(live.tokens);
            }
        }
        (_, answered) => {
            let changed = api.sign_in_with(&user.name, &new).await;
            if changed.status == 200 {
                let mut tokens = vec![changed.tokens()];
                tokens.extend(answered.map(|answer| answer.expect(200).tokens()));
                user.dead.extend(user.live.drain(..).map(|live| live.tokens));
                user.live.extend(tokens.into_iter().map(|tokens| Live { tokens, previous: None }));
                user.former_passwords.push(std::mem::replace(&mut user.password, new));
            } else {
                assert!(answered.is_none(), "an answered change of password is one");
                let tokens = api.sign_in_with(&user.name, &user.password).await.expect(200).tokens();
                // It revokes first and writes second: it may have signed the user out, whole or not at all.
                let ended = api.me(&live.tokens.access).await.status == 401;
                let old: Vec<_> = user.live.drain(..).collect();
                if ended {
                    user.dead.extend(old.into_iter().map(|live| live.tokens));
                } else {
                    user.live = old;
                }
                user.live.push(Live { tokens, previous: None });
            }
        }
    }
    server.kill();
}

/// Everything that was answered, asked again.
async fn holds(api: &Api, user: &mut Known) {
    let name = &user.name;
    for live in &mut user.live {
        let me = api.me(&live.tokens.access).await;
        assert_eq!(me.status, 200, "{name}: a live access token: {me:?}");
        if let Some(previous) = live.previous.take() {
            let again = api.refresh(&previous).await.expect(200).tokens();
            assert_eq!(again.refresh, live.tokens.refresh, "{name}: the same successor");
        }
        let rotated = api.refresh(&live.tokens.refresh).await;
        assert_eq!(rotated.status, 200, "{name}: a live refresh token: {rotated:?}");
        live.previous = Some(std::mem::replace(&mut live.tokens, rotated.tokens()).refresh);
    }
    for dead in &user.dead {
        assert_eq!(api.me(&dead.access).await.status, 401, "{name}: a dead access token");
        assert_eq!(api.refresh(&dead.refresh).await.status, 401, "{name}: a dead refresh token");
    }
    for former in &user.former_passwords {
        api.sign_in_with(name, former).await.refused(401, "sign_in_failed");
    }
    let email = format!("{name}@example.com");
    let tokens = api.sign_in_with(&email, &user.password).await.expect(200).tokens();
    // Checked once is enough for what ended long ago.
    user.dead.drain(..user.dead.len().saturating_sub(4));
    user.former_passwords.drain(..user.former_passwords.len().saturating_sub(1));
    user.live.truncate(3);
    user.live.push(Live { tokens, previous: None });
    let taken = json!({ "username": name, "email": "another@example.com", "password": PASSWORD });
    api.post("/api/auth/register", taken).send().await.refused(409, "username_taken");
}

async fn registered(api: &Api, name: &str, password: &str) -> Known {
    api.register(name).await;
    let (name, password) = (name.to_owned(), password.to_owned());
    Known { name, password, former_passwords: Vec::new(), live: Vec::new(), dead: Vec::new() }
}

type Sent = Result<Answer, Box<dyn std::error::Error + Send + Sync>>;

async fn logout(api: &Api, tokens: &Tokens) -> Sent {
    api.ask("POST", "/api/auth/logout").bearer(&tokens.access).try_send().await
}

async fn change(api: &Api, user: &Known, which: usize, new: &str) -> Sent {
    let body = json!({ "current_password": user.password, "new_password": new });
    let access = &user.live[which].tokens.access;
    api.post("/api/auth/password/change", body).bearer(access).try_send().await
}
