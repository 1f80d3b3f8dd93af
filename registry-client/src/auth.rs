//! Answering a registry's challenge (RFC 7235): Basic, and Bearer with a token server as the
//! distribution specification's token protocol has it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_auth::ChallengeRef;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use crate::credentials::{Credential, Secret};
use crate::error::RegistryError;
use crate::session::{Session, read_limited};

/// A token's answer is a token and little else.
const MAX_TOKEN_ANSWER: usize = 256 << 10;
const CLIENT_ID: &str = "wherry";

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session {
    /// The `Authorization` that answers the challenge in `headers`.
    pub(crate) async fn authorize(
        &self,
        headers: &HeaderMap,
    ) -> Result<HeaderValue, RegistryError> {
        let texts: Vec<_> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|text| text.to_str().ok())
            .collect();
        let challenges: Vec<_> = texts
            .iter()
            .filter_map(|text| http_auth::parse_challenges(text).ok())
            .flatten()
            .collect();
        let asks_for = |scheme: &str| {
            challenges
                .iter()
                .find(|it| it.scheme.eq_ignore_ascii_case(scheme))
        };
        if let Some(challenge) = asks_for("bearer") {
            return self.bearer(challenge).await;
        }
        match (asks_for("basic"), self.credential()) {
            (Some(_), Some(Credential::Password { user, password })) => self.basic(user, password),
            (Some(_), Some(Credential::IdentityToken(_))) => Err(self.unauthorized(
                "it asks for a password, but there is only an identity token".into(),
            )),
            (Some(_), None) => Err(self.no_credential()),
            (None, _) => Err(self
                .protocol("it refuses access (HTTP 401) without a challenge that is known".into())),
        }
    }

    fn no_credential(&self) -> RegistryError {
        self.unauthorized(format!(
            "there are no credentials for it (`wherry login {}`)",
            self.registry()
        ))
    }

    fn basic(&self, user: &str, password: &Secret) -> Result<HeaderValue, RegistryError> {
        self.header(&format!(
            "Basic {}",
            STANDARD.encode(format!("{user}:{}", password.reveal()))
        ))
    }

    fn header(&self, text: &str) -> Result<HeaderValue, RegistryError> {
        let mut header = HeaderValue::from_str(text)
            .map_err(|_| self.protocol("its token is not one that can be sent back".into()))?;
        header.set_sensitive(true);
        Ok(header)
    }

    async fn bearer(&self, challenge: &ChallengeRef<'_>) -> Result<HeaderValue, RegistryError> {
        let realm = parameter(challenge, "realm").unwrap_or_default();
        let realm = Url::parse(&realm)
            .map_err(|_| self.protocol("its challenge has no valid realm".into()))?;
        // The credential goes there: not in clear text, unless the registry itself is spoken to so.
        if realm.scheme() != "https" && !self.is_plain() {
            return Err(self.protocol("its token server is not reached by TLS".into()));
        }
        let service = parameter(challenge, "service");
        let mut answer = self
            .ask_for_token(&realm, service.as_deref(), self.scopes())
            .await?;
        // Some refuse all of it if one of several repositories is not ours to read.
        if let (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, [own, _, ..]) =
            (answer.status(), self.scopes())
        {
            let own = std::slice::from_ref(own);
            answer = self.ask_for_token(&realm, service.as_deref(), own).await?;
        }
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.credential().is_none() => {
                return Err(self.no_credential());
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(self.unauthorized("its token server refuses the credentials".into()));
            }
            status => {
                return Err(
                    self.protocol(format!("its token server answers HTTP {}", status.as_u16()))
                );
            }
        }
        let answer = read_limited(self.registry(), answer, MAX_TOKEN_ANSWER).await?;
        let answer: TokenAnswer = serde_json::from_slice(&answer)
            .map_err(|_| self.protocol("its token server sends no token".into()))?;
        match answer.token.or(answer.access_token) {
            Some(token) => self.header(&format!("Bearer {token}")),
            None => Err(self.protocol("its token server sends no token".into())),
        }
    }

    async fn ask_for_token(
        &self,
        realm: &Url,
        service: Option<&str>,
        scopes: &[String],
    ) -> Result<Response, RegistryError> {
        self.until_answered(async || {
            self.token_request(realm.clone(), service, scopes)?
                .send()
                .await
                .map_err(|error| RegistryError::transport(self.registry(), error))
        })
        .await
    }

    fn token_request(
        &self,
        mut realm: Url,
        service: Option<&str>,
        scopes: &[String],
    ) -> Result<RequestBuilder, RegistryError> {
        let mut parameters: Vec<(&str, &str)> = Vec::new();
        parameters.extend(service.map(|service| ("service", service)));
        parameters.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
        if let Some(Credential::IdentityToken(token)) = self.credential() {
            // In a form, the scopes are one parameter.
            let scopes = scopes.join(" ");
            parameters.retain(|(name, _)| *name != "scope");
            parameters.extend((!scopes.is_empty()).then_some(("scope", scopes.as_str())));
            parameters.extend([
                ("grant_type", "refresh_token"),
                ("client_id", CLIENT_ID),
                ("refresh_token", token.reveal()),
            ]);
            let form = form(&parameters);
            return Ok(self
                .http()
                .post(realm)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form));
        }
        realm.query_pairs_mut().extend_pairs(parameters);
        let request = self.http().get(realm);
        Ok(match self.credential() {
            Some(Credential::Password { user, password }) => {
                request.header(AUTHORIZATION, self.basic(user, password)?)
            }
            _ => request,
        })
    }
}

fn parameter(challenge: &ChallengeRef<'_>, name: &str) -> Option<String> {
    let (_, value) = challenge
        .params
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value.to_unescaped())
}

/// A form's encoding is that of a URL's query.
fn form(parameters: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("form:") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(parameters);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_form_is_percent_encoded() {
        assert_eq!(form(&[("a", "b c&d"), ("e", "=")]), "a=b+c%26d&e=%3D");
    }

    #[test]
    fn parameters_are_found_whatever_their_case_and_unescaped() {
        let challenges =
            http_auth::parse_challenges(r#"Bearer Realm="a\"b", scope="x,y", Basic realm=c"#);
        let challenges = challenges.expect("valid");
        assert_eq!(parameter(&challenges[0], "realm").as_deref(), Some("a\"b"));
        assert_eq!(parameter(&challenges[0], "scope").as_deref(), Some("x,y"));
        assert_eq!(parameter(&challenges[1], "realm").as_deref(), Some("c"));
        assert_eq!(parameter(&challenges[1], "scope"), None);
    }

    proptest! {
        #[test]
        fn any_challenge_is_read_or_refused(text in r#"(Bearer|Basic|[ -~]{0,9}) ([a-z]{0,9}=?[\\",= -~]{0,9},?){0,4}"#) {
            for challenge in http_auth::parse_challenges(&text).into_iter().flatten() {
                let _ = (parameter(&challenge, "realm"), parameter(&challenge, "service"));
            }
        }
    }
}
