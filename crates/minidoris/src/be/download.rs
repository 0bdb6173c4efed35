//! Fetching from another backend over HTTP, with the tries and texts of Doris.

use std::time::Duration;

use bytes::Bytes;
use md5::{Digest, Md5};
use reqwest::{Client, Method, Response};

use super::{Backend, BackendError};

/// Tries of every request.
const TRIES: u32 = 3;

/// Doris's floor for the time of a file download.
const MIN_FILE_TIMEOUT: Duration = Duration::from_secs(300);

/// A client without proxies and with a bounded time to connect.
pub(super) fn client() -> Client {
    Client::builder()
        .no_proxy()
        .connect_timeout(Duration::from_secs(10))
        .pool_max_idle_per_host(16)
        .build()
        // Building fails only without a TLS backend or resolver, and neither is configured here.
        .unwrap_or_default()
}

impl Backend {
    /// GETs a small body.
    pub(super) async fn fetch_small(&self, url: &str) -> Result<Bytes, BackendError> {
        let timeout = self.config.millis("download_binlog_meta_timeout_ms");
        self.retrying(url, || async move {
            let response = self.send(Method::GET, url, timeout).await?;
            response.bytes().await.map_err(|error| transport(url, &error))
        })
        .await
    }

    /// HEADs a file for its size.
    pub(super) async fn fetch_size(&self, url: &str) -> Result<u64, BackendError> {
        let timeout = self.config.millis("download_binlog_meta_timeout_ms");
        self.retrying(url, || async move {
            let response = self.send(Method::HEAD, url, timeout).await?;
            let length = response.headers().get("content-length").and_then(|value| value.to_str().ok());
            length
                .and_then(|value| value.parse().ok())
                .ok_or_else(|| BackendError::Http(format!("no content length, url={url}")))
        })
        .await
    }

    /// GETs a file of a known size and checks size and, when sent, MD5.
    pub(super) async fn fetch_file(&self, url: &str, size: u64) -> Result<Bytes, BackendError> {
        let bytes_per_second = (self.config.number("download_low_speed_limit_kbps").max(1) as u64) * 1024;
        let timeout = Duration::from_secs(size / bytes_per_second).max(MIN_FILE_TIMEOUT);
        self.retrying(url, || async move {
            let response = self.send(Method::GET, url, timeout).await?;
            let wanted = response.headers().get("content-md5").and_then(|value| value.to_str().ok());
            let wanted = wanted.map(str::to_owned);
            let bytes = response.bytes().await.map_err(|error| transport(url, &error))?;
            if bytes.len() as u64 != size {
                let local = bytes.len();
                let text =
                    format!("downloaded file size is not equal, local={local}, remote={size}, url={url}");
                return Err(BackendError::Runtime(text));
            }
            match wanted {
                Some(remote) if !remote.eq_ignore_ascii_case(&md5_hex(&bytes)) => {
                    let local = md5_hex(&bytes);
                    let text = format!("download file md5 is not equal, local={local}, remote={remote}");
                    Err(BackendError::Runtime(text))
                }
                _ => Ok(bytes),
            }
        })
        .await
    }

    async fn send(&self, method: Method, url: &str, timeout: Duration) -> Result<Response, BackendError> {
        let token = self.auth_token.read().clone();
        let request = self.http.request(method, url).header("Auth-Token", token).timeout(timeout);
        let request = request.send().await;
        let response = request.map_err(|error| transport(url, &error))?;
        let status = response.status().as_u16();
        if status >= 400 {
            let text = format!("The requested URL returned error: {status}, url={}", hide_token(url));
            return Err(BackendError::Http(text));
        }
        if status != 200 {
            let text = format!("http status code is not 200, code={status}, url={}", hide_token(url));
            return Err(BackendError::Http(text));
        }
        Ok(response)
    }

    async fn retrying<T, F>(&self, url: &str, attempt: impl Fn() -> F) -> Result<T, BackendError>
    where
        F: Future<Output = Result<T, BackendError>>,
    {
        let mut tried = 1;
        loop {
            match attempt().await {
                Err(error) if tried < TRIES => {
                    tracing::debug!(url = hide_token(url), %error, tried, "download failed, trying again");
                    tried += 1;
                    tokio::time::sleep(self.config.millis("minidoris_download_retry_interval_ms")).await;
                }
                outcome => return outcome,
            }
        }
    }
}

fn transport(url: &str, error: &reqwest::Error) -> BackendError {
    let what = if error.is_timeout() {
        "Timeout was reached"
    } else if error.is_connect() {
        "Couldn't connect to server"
    } else {
        "Transferred a partial file"
    };
    BackendError::Http(format!("{what}, url={}", hide_token(url)))
}

/// The URL without the value of its token.
fn hide_token(url: &str) -> String {
    let Some(start) = url.find("token=").map(|at| at + "token=".len()) else { return url.to_owned() };
    let end = url[start..].find('&').map_or(url.len(), |length| start + length);
    format!("{}***{}", &url[..start], &url[end..])
}

pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_do_not_reach_error_texts() {
        assert_eq!(hide_token("http://h/x?token=secret&file=/a"), "http://h/x?token=***&file=/a");
        assert_eq!(hide_token("http://h/x?file=/a&token=secret"), "http://h/x?file=/a&token=***");
        assert_eq!(hide_token("http://h/x"), "http://h/x");
    }
}
