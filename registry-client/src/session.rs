//! Requests to one repository of one registry: scheme, authorization, and what the answers mean.

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Body, Certificate, Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;
use wherry_packager::{Descriptor, Digest, MAX_DOCUMENT_SIZE, media_type};

use crate::credentials::Credential;
use crate::error::{RegistryError, innermost};
use crate::transport;

const MAX_ERROR_BODY: usize = 64 << 10;

/// Requests to one repository of one registry.
#[derive(Debug)]
pub(crate) struct Session {
    http: Client,
    base: Url,
    registry: String,
    repository: String,
    scope: Option<String>,
    credential: Option<Credential>,
    authorization: Mutex<Option<HeaderValue>>,
}

/// What a session is opened with.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) registry: &'a str,
    /// Empty for the registry itself.
    pub(crate) repository: &'a str,
    /// Comma-separated, e.g. `pull,push`.
    pub(crate) actions: &'a str,
    pub(crate) credential: Option<Credential>,
    /// Speak plain HTTP although it is not on loopback.
    pub(crate) plain: bool,
    pub(crate) certificates: &'a [Certificate],
}

impl Session {
    pub(crate) async fn open(target: Target<'_>) -> Result<Self, RegistryError> {
        let Target {
            registry,
            repository,
            actions,
            credential,
            plain,
            certificates,
        } = target;
        let plain = plain
            || (transport::is_loopback(registry) && transport::answers_in_plain(registry).await?);
        let scheme = if plain { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{}/v2/", transport::host_of(registry)))
            .map_err(|error| RegistryError::Setup(error.to_string()))?;
        let mut builder = transport::client(registry).https_only(!plain);
        if !certificates.is_empty() {
            builder = builder.tls_certs_merge(certificates.iter().cloned());
        }
        Ok(Self {
            http: builder
                .build()
                .map_err(|error| RegistryError::Setup(innermost(&error)))?,
            base,
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            scope: (!repository.is_empty()).then(|| format!("repository:{repository}:{actions}")),
            credential,
            authorization: Mutex::new(None),
        })
    }

    pub(crate) fn registry(&self) -> &str {
        &self.registry
    }

    pub(crate) fn http(&self) -> &Client {
        &self.http
    }

    pub(crate) fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    pub(crate) fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
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

    /// Reads the manifest that a tag or digest means.
    pub(crate) async fn manifest(&self, tag_or_digest: &str) -> Result<Vec<u8>, RegistryError> {
        use media_type::{DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST};
        let url = self.url(&format!("manifests/{tag_or_digest}"))?;
        let accept = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX].join(", ");
        let response = self
            .send(|| self.http.get(url.clone()).header(ACCEPT, &accept))
            .await?;
        let what = format!("{}, {tag_or_digest}", self.repository);
        let response = self
            .expect(response, &[StatusCode::OK], "send the manifest", &what)
            .await?;
        let limit = usize::try_from(MAX_DOCUMENT_SIZE).unwrap_or(usize::MAX);
        let is_html = is_html(&response);
        let bytes = read_limited(&self.registry, response, limit).await?;
        if is_html || bytes.trim_ascii_start().starts_with(b"<") {
            return Err(self.protocol("it sends an HTML page instead of a manifest".into()));
        }
        Ok(bytes)
    }

    /// Stores a manifest under a tag or its digest.
    pub(crate) async fn put_manifest(
        &self,
        tag_or_digest: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<(), RegistryError> {
        let url = self.url(&format!("manifests/{tag_or_digest}"))?;
        let put = || {
            self.http
                .put(url.clone())
                .header(CONTENT_TYPE, media_type)
                .body(bytes.to_vec())
        };
        let response = self.send(put).await?;
        self.expect(
            response,
            &[StatusCode::CREATED],
            "take the manifest",
            &self.repository,
        )
        .await
        .map(drop)
    }

    /// Whether the repository has a blob.
    pub(crate) async fn has_blob(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let response = self.send(|| self.http.head(url.clone())).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        self.expect(
            response,
            &[StatusCode::OK],
            "look for a blob",
            &self.repository,
        )
        .await
        .map(|_| true)
    }

    /// Starts to read a blob. The answer's length is right, if it has one.
    pub(crate) async fn blob(&self, blob: &Descriptor) -> Result<Response, RegistryError> {
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let response = self.send(|| self.http.get(url.clone())).await?;
        let what = format!("the blob {}", blob.digest);
        let response = self
            .expect(response, &[StatusCode::OK], "send a blob", &what)
            .await?;
        match response.content_length() {
            Some(actual) if actual != blob.size => Err(RegistryError::WrongLength {
                registry: self.registry.clone(),
                blob: blob.digest,
                expected: blob.size,
                actual,
            }),
            _ => Ok(response),
        }
    }

    /// Sends a blob in one piece.
    pub(crate) async fn upload(&self, blob: &Descriptor, body: Body) -> Result<(), RegistryError> {
        let url = self.url("blobs/uploads/")?;
        let response = self
            .send(|| self.http.post(url.clone()).header(CONTENT_LENGTH, 0))
            .await?;
        let response = self
            .expect(
                response,
                &[StatusCode::ACCEPTED],
                "start an upload",
                &self.repository,
            )
            .await?;
        let mut location = self.location(&response)?;
        location
            .query_pairs_mut()
            .append_pair("digest", &blob.digest.to_string());
        let put = self
            .http
            .put(location.clone())
            .header(CONTENT_LENGTH, blob.size)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(body);
        let response = self.send_once(put, &location).await?;
        self.expect(
            response,
            &[StatusCode::CREATED],
            "take a blob",
            &self.repository,
        )
        .await
        .map(drop)
    }

    fn location(&self, response: &Response) -> Result<Url, RegistryError> {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        location
            .and_then(|location| response.url().join(location).ok())
            .ok_or_else(|| self.protocol("it does not say where to upload to".into()))
    }

    fn url(&self, path: &str) -> Result<Url, RegistryError> {
        self.base
            .join(&format!("{}/{path}", self.repository))
            .map_err(|error| RegistryError::Setup(error.to_string()))
    }

    /// Sends a request to the registry, answering a challenge if one comes.
    async fn send(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, RegistryError> {
        let used = self.authorization.lock().await.clone();
        let response = self.send_with(request(), used.as_ref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let authorization = {
            let mut current = self.authorization.lock().await;
            // Another request may have answered the same challenge in the meantime.
            if *current == used {
                *current = Some(self.authorize(response.headers()).await?);
            }
            current.clone()
        };
        self.send_with(request(), authorization.as_ref()).await
    }

    /// Sends a request whose body cannot be sent twice.
    async fn send_once(
        &self,
        request: RequestBuilder,
        url: &Url,
    ) -> Result<Response, RegistryError> {
        // An upload may be directed to another host, which has no business with our credentials.
        let authorization = if url.origin() == self.base.origin() {
            self.authorization.lock().await.clone()
        } else {
            None
        };
        self.send_with(request, authorization.as_ref()).await
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
        request
            .send()
            .await
            .map_err(|error| RegistryError::transport(&self.registry, error))
    }

    /// The response if its status is one of `wanted`, and else what it means.
    async fn expect(
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
            _ if is_html(&response) => Err(self.protocol("it sends an HTML page".into())),
            status => {
                let body = read_limited(&registry, response, MAX_ERROR_BODY)
                    .await
                    .unwrap_or_default();
                Err(RegistryError::Refused {
                    registry,
                    action,
                    status: status.as_u16(),
                    message: message_of(&body),
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

fn is_html(response: &Response) -> bool {
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
