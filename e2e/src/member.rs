//! A customer who logs in again and again, and stays logged in.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{Shop, Shot, Turn};

pub(crate) const LOGIN: &str = "/api/auth/login";
pub(crate) const REFRESH: &str = "/api/auth/refresh";

/// See the module.
#[derive(Debug)]
pub(crate) struct Member {
    guest: Shop,
    credentials: Value,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// The newest access token.
    access: Option<String>,
    /// The token for the next tokens of one session; none while somebody is asking for them.
    refresh: Option<String>,
}

impl Member {
    /// Registers, and begins the session that is to last.
    pub(crate) async fn join(guest: &Shop) -> Result<Arc<Self>> {
        let customer = guest.customer("Amaka").await?;
        let credentials = json!({"email": customer.email, "password": customer.password});
        // Another account than the one that logs in each second: of so many sessions the oldest ends.
        let stays = guest.customer("Zainab").await?;
        let session = json!({"email": stays.email, "password": stays.password});
        let tokens = guest.post(LOGIN).json(&session).send().await?.expect(200)?.json()?;
        let text = |name: &str| tokens[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"));
        let held = Held { access: Some(text("access_token")?), refresh: Some(text("refresh_token")?) };
        Ok(Arc::new(Self { guest: guest.clone(), credentials, held: Mutex::new(held) }))
    }

    /// Logs in.
    pub(crate) fn login(self: &Arc<Self>) -> Turn {
        let member = Arc::clone(self);
        Arc::new(move || {
            let heard = Arc::clone(&member);
            Shot::post_once(&member.guest, LOGIN, member.credentials.clone())
                .then(move |tokens| heard.hear(tokens, false))
        })
    }

    /// Asks for the next tokens of the session. As long as the last have not come, it looks who it is.
    pub(crate) fn refresh(self: &Arc<Self>) -> Turn {
        let member = Arc::clone(self);
        Arc::new(move || {
            let Some(token) = member.lock().refresh.take() else { return member.ask_who() };
            let (heard, body) = (Arc::clone(&member), json!({"refresh_token": token}));
            Shot::post_once(&member.guest, REFRESH, body).then(move |tokens| heard.hear(tokens, true))
        })
    }

    /// Looks who it is, with the newest token.
    pub(crate) fn me(self: &Arc<Self>) -> Turn {
        let member = Arc::clone(self);
        Arc::new(move || member.ask_who())
    }

    fn ask_who(&self) -> Shot {
        Shot::get(&self.guest.with_token(self.lock().access.as_deref()), "/api/auth/me")
    }

    fn hear(&self, tokens: &Value, of_session: bool) {
        let text = |name: &str| tokens[name].as_str().map(str::to_owned);
        let mut held = self.lock();
        held.access = text("access_token");
        if of_session {
            held.refresh = text("refresh_token");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
