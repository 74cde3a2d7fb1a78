import { useEffect, useState } from "react";

const DEMO_KEYS = [
  ["ownerKey", "Owner"],
  ["adminKey", "Admin"],
  ["bookingKey", "Booking"],
];

/** Takes the key on Enter or on leaving the field: a key half typed is a wrong key, and those are counted. */
export function KeyBar({ current, facts, notice, onKey }) {
  const [typed, setTyped] = useState(current);
  const [shown, setShown] = useState(false);
  useEffect(() => setTyped(current), [current]);
  const offered = DEMO_KEYS.filter(([name]) => facts[name]);

  function take() {
    if (typed.trim() !== current) onKey(typed.trim());
  }

  return (
    <form
      className="key-bar"
      onSubmit={(event) => {
        event.preventDefault();
        take();
      }}
    >
      <a className="brand" href="/" title="To the start page">
        <strong>Slotwire</strong> GraphiQL
      </a>
      <label htmlFor="key">Key</label>
      <input
        id="key"
        type={shown ? "text" : "password"}
        value={typed}
        placeholder="Paste a key: sw_owner_…, sw_admin_… or sw_booking_…"
        autoComplete="off"
        spellCheck="false"
        onChange={(event) => setTyped(event.target.value)}
        onBlur={take}
      />
      <button type="button" aria-pressed={shown} onClick={() => setShown(!shown)}>
        {shown ? "Hide" : "Show"}
      </button>
      {offered.length > 0 && (
        <span className="offered" role="group" aria-label="Keys of this demo">
          {offered.map(([name, label]) => (
            <button key={name} type="button" aria-pressed={current === facts[name]} onClick={() => onKey(facts[name])}>
              {label}
            </button>
          ))}
        </span>
      )}
      <output>{notice}</output>
    </form>
  );
}
