//! Requests to one repository of one registry: authorization, trying again, and what the answers
//! mean.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::credentials::Credential;
use crate::error::{RegistryError, innermost};
use crate::patience::{Patience, Tries, is_passing, retry_after};
use crate::registries::{Endpoint, Speech};
use crate::transport;

const MAX_ERROR_BODY: usize = 64 << 10;

/// Requests to one repository of one registry.
#[derive(Debug)]
pub(crate) struct Session {
    http: Client,
    base: Url,
    registry: String,
    repository: String,
    /// What a token is to allow: first what cannot be done without.
    scopes: Vec<String>,
    credential: Option<Credential>,
    authorization: Mutex<Option<HeaderValue>>,
    patience: Patience,
    /// Whether there ever was a connection: a registry that is not there is not asked again and
    /// again.
    connected: AtomicBool,
}

impl Session {
    /// Opens one to do `actions` (comma-separated, e.g. `pull,push`) and to read the repositories
    /// `others`.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        actions: &str,
        others: &[String],
        credential: Option<Credential>,
        patience: Patience,
    ) -> Result<Self, RegistryError> {
        let Endpoint {
            registry,
            repository,
            ..
        } = endpoint;
        let plain = match endpoint.speech {
            Speech::Plain => true,
            Speech::PlainIfItAnswers => transport::answers_in_plain(registry).await?,
            Speech::Tls => false,
        };
        let scheme = if plain { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{}/v2/", transport::host_of(registry)))
            .map_err(|error| RegistryError::Setup(error.to_string()))?;
        let mut builder = transport::client(registry, patience.idle).https_only(!plain);
        if !endpoint.certificates.is_empty() {
            builder = builder.tls_certs_merge(endpoint.certificates.iter().cloned());
        }
        let own = (!repository.is_empty()).then(|| format!("repository:{repository}:{actions}"));
        let others = others
            .iter()
            .map(|other| format!("repository:{other}:pull"));
        Ok(Self {
            http: builder
                .build()
                .map_err(|error| RegistryError::Setup(innermost(&error)))?,
            base,
            registry: registry.clone(),
            repository: repository.clone(),
            scopes: own.into_iter().chain(others).collect(),
            credential,
            authorization: Mutex::new(None),
            patience,
            connected: AtomicBool::new(false),
        })
    }

    pub(crate) fn registry(&self) -> &str {
        &self.registry
    }

    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    pub(crate) fn http(&self) -> &Client {
        &self.http
    }

    pub(crate) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    pub(crate) fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    pub(crate) fn tries(&self) -> Tries {
        Tries::new(self.patience)
    }

    /// Whether an address is the registry's own: credentials go nowhere else.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Asks the registry whether it would talk to us: the end of a login.
    pub(crate) async fn check_access(&self) -> Result<(), RegistryError> {
        let response = self.send(|| self.http.get(self.base.clone())).await?;
        self.expect(
            response,
            &[StatusCode::OK],
            "log in",
            "the distribution API",
        )
        .await
        .map(drop)
    }

    /// Where the answer says to go on.
    pub(crate) fn location(&self, response: &Response) -> Option<Url> {
        let location = response.headers().get(LOCATION)?.to_str().ok()?;
        response.url().join(location).ok()
    }

    pub(crate) fn url(&self, path: &str) -> Result<Url, RegistryError> {
        self.base
            .join(&format!("{}/{path}", self.repository))
            .map_err(|error| RegistryError::Setup(error.to_string()))
    }

    /// Sends a request to the registry, answering a challenge if one comes, and again if it fails
    /// in passing.
    pub(crate) async fn send(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        self.until_answered(async || self.send_authorized(&request).await)
            .await
    }

    /// Makes a request until it does not fail in passing.
    pub(crate) async fn until_answered(
        &self,
        request: impl AsyncFn() -> Result<Response, RegistryError>,
    ) -> Result<Response, RegistryError> {
        let mut tries = self.tries();
        loop {
            let (asked, result) = match request().await {
                Ok(response) if is_passing(response.status()) => {
                    (retry_after(response.headers()), Ok(response))
                }
                Err(error) if self.is_passing(&error) => (None, Err(error)),
                result => return result,
            };
            if !tries.again(asked).await {
                return result;
            }
        }
    }

    /// Whether it may well succeed a moment later.
    pub(crate) fn is_passing(&self, error: &RegistryError) -> bool {
        error.is_passing() && self.connected.load(Ordering::Relaxed)
    }

    async fn send_authorized(
        &self,
        request: &impl Fn() -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let used = self.authorization.lock().await.clone();
        let response = self.send_with(request(), used.as_ref()).await?;
        // Another host, to which we were redirected, has nothing to ask of us.
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_own(response.url()) {
            return Ok(response);
        }
        let authorization = self.renew(used, response.headers()).await?;
        self.send_with(request(), authorization.as_ref()).await
    }

    /// Answers a challenge to a request that was sent with `used`.
    async fn renew(
        &self,
        used: Option<HeaderValue>,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let mut current = self.authorization.lock().await;
        // Another request may have answered the same challenge in the meantime.
        if *current == used {
            *current = Some(self.authorize(headers).await?);
        }
        Ok(current.clone())
    }

    /// Sends a request whose body cannot be sent twice. If a challenge comes, it is answered, and
    /// the result is `None`: the caller tries again.
    pub(crate) async fn send_once(
        &self,
        request: RequestBuilder,
        url: &Url,
    ) -> Result<Option<Response>, RegistryError> {
        // An upload may be directed to another host, which has no business with our credentials.
        let used = match self.is_own(url) {
            true => self.authorization.lock().await.clone(),
            false => None,
        };
        let response = self.send_with(request, used.as_ref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_own(response.url()) {
            return Ok(Some(response));
        }
        self.renew(used, response.headers()).await?;
        Ok(None)
    }

    async fn send_with(
        &self,
        request: RequestBuilder,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let request = match authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        };
        let response = request.send().await;
        let connected = response
            .as_ref()
            .map_or_else(|error| !error.is_connect(), |_| true);
        self.connected.fetch_or(connected, Ordering::Relaxed);
        response.map_err(|error| RegistryError::transport(&self.registry, error))
    }

    /// The response if its status is one of `wanted`, and else what it means.
    pub(crate) async fn expect(
        &self,
        response: Response,
        wanted: &[StatusCode],
        action: &'static str,
        what: &str,
    ) -> Result<Response, RegistryError> {
        let registry = self.registry.clone();
        match response.status() {
            status if wanted.contains(&status) => Ok(response),
            StatusCode::NOT_FOUND if !is_html(&response) => Err(RegistryError::NotFound {
                registry,
                what: what.to_owned(),
            }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.unauthorized(match &self
                .credential
            {
                Some(_) => format!("it does not accept the credentials to {action}"),
                None => format!("there are no credentials to {action} (`wherry login {registry}`)"),
            })),
            status if is_html(&response) && !is_passing(status) => {
                Err(self.protocol("it sends an HTML page".into()))
            }
            status => {
                let retry_after = retry_after(response.headers());
                let body = read_limited(&registry, response, MAX_ERROR_BODY)
                    .await
                    .unwrap_or_default();
                Err(RegistryError::Refused {
                    registry,
                    action,
                    status: status.as_u16(),
                    message: message_of(&body),
                    retry_after,
                })
            }
        }
    }

    pub(crate) fn protocol(&self, reason: String) -> RegistryError {
        RegistryError::Protocol {
            registry: self.registry.clone(),
            reason,
        }
    }

    pub(crate) fn unauthorized(&self, reason: String) -> RegistryError {
        RegistryError::Unauthorized {
            registry: self.registry.clone(),
            reason,
        }
    }
}

/// Reads a body that must not have more than `limit` bytes.
pub(crate) async fn read_limited(
    registry: &str,
    mut response: Response,
    limit: usize,
) -> Result<Vec<u8>, RegistryError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| RegistryError::transport(registry, error))?
    {
        if bytes.len() + chunk.len() > limit {
            return Err(RegistryError::Protocol {
                registry: registry.to_owned(),
                reason: format!("it sends a document of more than {limit} bytes"),
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

pub(crate) fn is_html(response: &Response) -> bool {
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| content_type.trim_start().starts_with("text/html"))
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<RefusalEntry>,
}

#[derive(Deserialize)]
struct RefusalEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What a registry says about its refusal, if it is of the form that the specification gives.
fn message_of(body: &[u8]) -> String {
    const LONGEST: usize = 200;
    let Ok(Refusal { errors }) = serde_json::from_slice(body) else {
        return String::new();
    };
    let Some(RefusalEntry { code, message }) = errors.first() else {
        return String::new();
    };
    let text: String = format!(": {code} {message}")
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect();
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_quoted_without_control_characters() {
        let body = br#"{"errors":[{"code":"DENIED","message":"quota\u001b[2J","detail":{}}]}"#;
        assert_eq!(message_of(body), ": DENIED quota[2J");
        assert_eq!(message_of(b"<html>"), "");
        assert_eq!(message_of(br#"{"errors":[]}"#), "");
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_quoted_or_not(body in ".{0,80}", message in ".{0,400}") {
            message_of(body.as_bytes());
            let refusal = serde_json::json!({ "errors": [{ "message": message }] }).to_string();
            assert!(message_of(refusal.as_bytes()).chars().all(|c| !c.is_control()));
        }
    }
}
