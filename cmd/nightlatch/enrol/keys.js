"use strict";
// Makes the keys in this browser where it can (WebCrypto's X25519, which needs
// https or localhost), so that the private one never leaves it. Where it cannot,
// the form works as it is.
(async () => {
  const say = (id, text) => { document.getElementById(id).textContent = text; };
  const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
  let publicKey, privateKey;
  try {
    const pair = await crypto.subtle.generateKey({ name: "X25519" }, true, ["deriveBits"]);
    publicKey = base64(await crypto.subtle.exportKey("raw", pair.publicKey));
    const jwk = await crypto.subtle.exportKey("jwk", pair.privateKey); // RFC 8037: d is the private key
    privateKey = jwk.d.replace(/-/g, "+").replace(/_/g, "/") + "=";
  } catch {
    return;
  }
  say("how", "Its private key is made in this browser and never leaves it.");
  const form = document.querySelector("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams({ public_key: publicKey }) });
    const text = await answer.text();
    if (!answer.ok) {
      say("said", text);
      return;
    }
    const conf = text.replace(/^PrivateKey = .*$/m, "PrivateKey = " + privateKey);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([conf], { type: "application/octet-stream" }));
    link.download = document.title.split(": ")[1] + ".conf";
    link.click();
    say("said", "Done. The link is void now.");
  });
})();
