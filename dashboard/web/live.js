// The page works without this file. With it, times are shown in the reader's
// zone, and the first page redraws its sections as the gateway sends them.
'use strict';
(function () {
  const zone = {
    clock: { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
    stamp: { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
    hour: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  };
  function localise(root) {
    const today = new Date().toDateString();
    for (const el of root.querySelectorAll('time[data-t]')) {
      const at = new Date(el.dateTime);
      const form = el.dataset.t === 'stamp' && at.toDateString() === today ? 'clock' : el.dataset.t;
      el.textContent = at.toLocaleString('en-GB', zone[form]);
      el.title = at.toLocaleString();
    }
    for (const el of root.querySelectorAll('text[data-hour]')) {
      el.textContent = new Date(el.dataset.hour).toLocaleTimeString('en-GB', zone.hour);
    }
  }
  localise(document);

  const source = document.body.dataset.live;
  if (!source || !window.EventSource) return;

  const state = document.getElementById('live');
  const pause = document.getElementById('pause');
  // The one place where text becomes HTML: what this server rendered itself.
  const make = { createHTML: (s) => s };
  const policy = window.trustedTypes ? window.trustedTypes.createPolicy('nightlatch', make) : make;
  const waiting = new Map(); // sections that came while they must not change
  let stream = null;
  let paused = false;
  let lost = 0;

  function say(word, text) {
    if (state.dataset.state === word) return;
    state.dataset.state = word;
    state.textContent = text;
  }

  // busy: someone reads with the keyboard, selects text or opened a fold here.
  function busy(el) {
    const sel = document.getSelection();
    return el.contains(document.activeElement) || (sel && !sel.isCollapsed && el.contains(sel.anchorNode));
  }

  function put(id, html) {
    const el = document.getElementById('s-' + id);
    if (!el) return;
    if (paused || busy(el)) {
      waiting.set(id, html);
      return;
    }
    waiting.delete(id);
    const old = new Set();
    for (const k of el.querySelectorAll('[data-key]')) old.add(k.dataset.key);
    const open = new Set();
    for (const k of el.querySelectorAll('details[open][id]')) open.add(k.id);
    const parsed = new DOMParser().parseFromString(policy.createHTML(html), 'text/html');
    localise(parsed);
    for (const k of parsed.querySelectorAll('[data-key]')) {
      if (old.size > 0 && !old.has(k.dataset.key)) k.classList.add('fresh');
    }
    for (const k of parsed.querySelectorAll('details[id]')) {
      if (open.has(k.id)) k.open = true;
    }
    el.replaceChildren(...parsed.body.childNodes);
  }

  function catchUp() {
    for (const [id, html] of [...waiting]) put(id, html);
  }

  function connect() {
    if (stream || paused || document.hidden) return;
    stream = new EventSource(source);
    stream.addEventListener('open', () => { lost = 0; say('on', 'Live'); });
    stream.addEventListener('section', (e) => {
      const s = JSON.parse(e.data);
      put(s.id, s.html);
    });
    stream.addEventListener('error', () => {
      if (stream.readyState === EventSource.CLOSED) { // refused: signed out, or too many windows
        disconnect();
        lost++;
        say('off', 'Not live');
        if (lost < 20) setTimeout(connect, 15000);
      } else {
        say('wait', 'Reconnecting');
      }
    });
  }

  function disconnect() {
    if (stream) stream.close();
    stream = null;
  }

  pause.hidden = state.hidden = false;
  say('wait', 'Connecting');
  pause.addEventListener('click', () => {
    paused = !paused;
    pause.setAttribute('aria-pressed', String(paused));
    if (paused) {
      disconnect();
      say('off', 'Paused');
    } else {
      catchUp();
      say('wait', 'Connecting');
      connect();
    }
  });
  document.addEventListener('focusout', () => setTimeout(catchUp, 0));
  document.addEventListener('selectionchange', () => {
    if (document.getSelection().isCollapsed) catchUp();
  });
  // A browser gives one host six connections, so a hidden tab lets go of its own.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) disconnect(); else connect();
  });
  window.addEventListener('pagehide', disconnect);
  window.addEventListener('pageshow', connect);
  connect();
})();
